import type { Event, Trait } from '#gen/recur/log/v1/event.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { addressOfKind, DEVICE_KINDS, isAddressKind, setAddressOfKind } from './channels.ts';
import { isLocale } from './locale.ts';
import { isTimeZone } from './quiet-hours.ts';

/** Traits kept although no template names them yet, so that one written tomorrow can. */
export const ALWAYS_KEPT: ReadonlySet<string> = new Set([
  ...['first_name', 'firstName', 'last_name', 'lastName', 'name', 'nickname', 'title', 'gender', 'birthday'],
  ...['city', 'region', 'country', 'company', 'member_level', 'memberLevel', 'points', 'plan'],
]);

const LOCALE_TRAITS = ['locale', 'language'];
const ZONE_TRAITS = ['timezone', 'time_zone', 'timeZone'];
const MAX_TRAITS = 48;
const MAX_VALUE_BYTES = 1024;
const MAX_ADDRESS_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

/** Takes from an identify event what messages need. Values with a later event time stay. Returns whether anything changed. */
export function applyIdentify(state: CustomerState, event: Event, named: ReadonlySet<string>): boolean {
  let changed = false;
  for (const trait of event.traits) {
    if (isAddressKind(trait.name)) changed = setAddress(state, trait, event) || changed;
    else if (ALWAYS_KEPT.has(trait.name) || named.has(trait.name))
      changed = setTrait(state, trait, event.timeMs) || changed;
  }
  const context = event.contextJson.length > 0 ? objectOf(event.contextJson) : undefined;
  const locale = textTrait(event, LOCALE_TRAITS) ?? context?.locale;
  if (typeof locale === 'string' && isLocale(locale) && (state.locale?.timeMs ?? -Infinity) <= event.timeMs) {
    state.locale = { value: locale, timeMs: event.timeMs };
    changed = true;
  }
  const zone = textTrait(event, ZONE_TRAITS) ?? context?.timezone;
  if (typeof zone === 'string' && isTimeZone(zone) && (state.timeZone?.timeMs ?? -Infinity) <= event.timeMs) {
    state.timeZone = { value: zone, timeMs: event.timeMs };
    changed = true;
  }
  return changed;
}

function setAddress(state: CustomerState, trait: Trait, event: Event): boolean {
  const kind = trait.name;
  if ((addressOfKind(state, kind)?.timeMs ?? -Infinity) > event.timeMs) return false;
  // An address in the clear is a mistake of the sender: it is not kept.
  if (trait.sealed.length > MAX_ADDRESS_BYTES || (trait.sealed.length === 0 && !isNull(trait.json))) return false;
  const hash = addressHash(event, kind) ?? fingerprint(kind, trait.sealed);
  setAddressOfKind(state, kind, { sealed: trait.sealed, hash, timeMs: event.timeMs });
  return true;
}

/**
 * Device tokens are no identifiers, so nobody hashed them. No two sealings end alike: an app that tells its token again is there again,
 * whatever was said of the token before.
 */
function fingerprint(kind: string, sealed: Buffer): Buffer {
  return DEVICE_KINDS.has(kind) ? Buffer.from(sealed.subarray(-16)) : EMPTY;
}

/** The hash of the one address of a kind an event names; undefined when it names none, or several. */
export function addressHash(event: Event, kind: string): Buffer | undefined {
  const found = event.identifiers.filter((identifier) => identifier.type === kind);
  return found.length === 1 ? found[0]?.hash : undefined;
}

function setTrait(state: CustomerState, trait: Trait, timeMs: number): boolean {
  const known = state.traits[trait.name];
  if (known && known.timeMs > timeMs) return false;
  if (trait.json.length + trait.sealed.length > MAX_VALUE_BYTES) return false;
  if (isNull(trait.json)) {
    if (!known) return false;
    delete state.traits[trait.name];
    return true;
  }
  if (!known && Object.keys(state.traits).length >= MAX_TRAITS) return false;
  state.traits[trait.name] = { json: trait.json, sealed: trait.sealed, timeMs };
  return true;
}

function isNull(json: Uint8Array): boolean {
  return json.length === 4 && Buffer.from(json.buffer, json.byteOffset, 4).toString('latin1') === 'null';
}

function textTrait(event: Event, names: readonly string[]): unknown {
  const trait = event.traits.find((t) => names.includes(t.name) && t.json.length > 0);
  if (!trait || trait.json.length > 128) return undefined;
  try {
    return JSON.parse(trait.json.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A JSON object as a plain object; undefined for anything else. */
export function objectOf(json: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.length).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
