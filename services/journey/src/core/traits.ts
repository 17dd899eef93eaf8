import type { KnownTrait } from '#gen/recur/journey/v1/state.ts';
import type { Trait } from '#gen/recur/log/v1/event.ts';
import { ownBytes } from '#lib/wire/own-bytes.ts';
import { type Day, readDay } from './dates/day.ts';
import type { Properties } from './event/properties.ts';
import type { SeenEvent } from './event/seen.ts';
import type { Run } from './run.ts';

const MAX_TRAITS = 50;
const MAX_JSON_BYTES = 100;
const MAX_NAME = 100;
/** Sealed traits that may be dates; the others are not opened at all. */
const NAMES_A_DATE = /birth|date|day|anniversary|生日|纪念/i;

/** Keeps what an event says of its customer. @returns names of traits that changed */
export function takeTraits(run: Run, event: SeenEvent): string[] {
  const changed = event.traits.filter((trait) => take(run, trait, event.timeMs)).map(({ name }) => name);
  const { traits } = run.state;
  if (traits.length > MAX_TRAITS) {
    traits.sort((a, b) => a.setMs - b.setMs);
    traits.splice(0, traits.length - MAX_TRAITS);
  }
  return changed;
}

function take(run: Run, trait: Trait, setMs: number): boolean {
  const { traits } = run.state;
  const { name, json, sealed } = trait;
  const at = traits.findIndex((known) => known.name === name);
  const known = traits[at];
  if (known !== undefined && known.setMs > setMs) return false;
  if (!isKept(run, trait)) {
    if (known !== undefined) traits.splice(at, 1);
    return known !== undefined;
  }
  if (known !== undefined && json.equals(known.json) && sealed.equals(known.sealed)) return false;
  const next = { name, json: ownBytes(json), sealed: ownBytes(sealed), setMs, ...run.at };
  if (known === undefined) traits.push(next);
  else traits[at] = next;
  return true;
}

function isKept(run: Run, { name, json, sealed }: Trait): boolean {
  if (name.length > MAX_NAME) return false;
  if (sealed.length === 0) return json.length > 0 && json.length <= MAX_JSON_BYTES && json.toString() !== 'null';
  return (
    sealed.length <= 2 * MAX_JSON_BYTES &&
    NAMES_A_DATE.test(name) &&
    readDay(opened(run, sealed), run.timeZone) !== undefined
  );
}

/** Traits by name, but those that are sealed. */
export function clearTraits(traits: readonly KnownTrait[]): Properties {
  const clear = traits.filter(({ sealed }) => sealed.length === 0);
  return Object.fromEntries(clear.map(({ name, json }) => [name, parsed(json.toString())]));
}

/** The day one of the customer's traits names. */
export function dayOfTrait(run: Run, name: string): Day | undefined {
  const trait = run.state.traits.find((known) => known.name === name);
  if (trait === undefined) return undefined;
  return readDay(trait.sealed.length > 0 ? opened(run, trait.sealed) : parsed(trait.json.toString()), run.timeZone);
}

function opened(run: Run, sealed: Uint8Array): unknown {
  const text = run.open(sealed);
  return text === undefined ? undefined : parsed(text);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Of two customers who are one: per trait what was set last. @returns what is kept, what is not, and names of what comes from `other` */
export function mergeTraits(own: readonly KnownTrait[], other: readonly KnownTrait[]) {
  const kept = new Map(own.map((trait) => [trait.name, trait]));
  const left: KnownTrait[] = [];
  const adopted: string[] = [];
  for (const theirs of other) {
    const ours = kept.get(theirs.name);
    if (ours !== undefined && ours.setMs >= theirs.setMs) {
      left.push(theirs);
      continue;
    }
    if (ours !== undefined) left.push(ours);
    kept.set(theirs.name, theirs);
    adopted.push(theirs.name);
  }
  return { kept: [...kept.values()].sort((a, b) => a.setMs - b.setMs).slice(-MAX_TRAITS), left, adopted };
}
