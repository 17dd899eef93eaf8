// For specs: a normaliser whose hashes and seals can be read.
import { type Event, EventType } from '#gen/recur/log/v1/event.ts';
import { PhoneBook } from '#lib/identifiers/contact.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import { IdentifierValues } from '#lib/identifiers/values.ts';
import { type Json, needsCare } from './inspect.ts';
import { type Arrival, Normaliser, type Rules } from './normalise.ts';
import { type Violation, Violations } from './violations.ts';

export const NOW = Date.UTC(2026, 10, 26, 8);

export const RULES: Rules = { clock: 'live', currency: 'CNY', country: 'CN', personalTraits: ['secret_wish'] };

export interface Outcome {
  readonly event: Event | undefined;
  readonly violations: readonly Violation[];
  readonly dropped: readonly string[];
}

const dropped: string[] = [];
let made = 0;
/** Their caches make them costly to build, and keep nothing that shows. */
const normalisers = new Map<string, Normaliser>();

function normaliserFor(rules: Rules): Normaliser {
  const key = JSON.stringify(rules);
  const known = normalisers.get(key);
  if (known !== undefined) return known;
  const values = new IdentifierValues(new IdentifierTypes(), new PhoneBook(rules.country));
  const normaliser = new Normaliser(rules, {
    values: () => values,
    hash: (type, value) => Buffer.from(`${type}=${value}`),
    seal: (json) => Buffer.from(`sealed ${json}`),
    dropped: (type, reason) => dropped.push(`${type} ${reason}`),
    newMessageId: () => `made-${++made}`,
    traitTypes: { fault: (name) => (name === 'declared_wrong' ? 'must be a number' : undefined) },
  });
  normalisers.set(key, normaliser);
  return normaliser;
}

/** Runs what a sender wrote (JSON text, or a value that is turned into it) through a normaliser. */
export function normalise(message: unknown, rules: Partial<Rules> = {}, arrival: Partial<Arrival> = {}): Outcome {
  dropped.length = 0;
  made = 0;
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  const violations = new Violations();
  violations.index = 0;
  const careful = needsCare(text);
  const where: Arrival = { receivedAtMs: NOW, sentAt: undefined, context: undefined, careful, ...arrival };
  const event = normaliserFor({ ...RULES, ...rules }).normalise(JSON.parse(text), undefined, 'web', where, violations);
  return { event, violations: violations.list, dropped: [...dropped] };
}

/** The event as one reads it: hashes, seals and JSON as text. Fields that are empty are left out. */
export function readable(event: Event | undefined): Json {
  if (event === undefined) return {};
  const json = (bytes: Buffer): unknown => (bytes.length === 0 ? undefined : JSON.parse(bytes.toString()));
  const traits = event.traits.map(({ name, json: plain, sealed }) => [
    name,
    sealed.length > 0 ? sealed.toString() : json(plain),
  ]);
  return {
    type: Object.keys(EventType).find((key) => EventType[key as keyof typeof EventType] === event.type),
    name: event.name,
    identifiers: event.identifiers.map(({ hash }) => hash.toString()),
    traits: Object.fromEntries(traits),
    commerce: event.commerce,
    properties: json(event.propertiesJson),
    context: json(event.contextJson),
  };
}
