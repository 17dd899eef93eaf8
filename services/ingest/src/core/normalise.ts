import { type Commerce, type Event, EventType, type Identifier, type Trait } from '#gen/recur/log/v1/event.ts';
import { PLAIN_IDENTIFIERS } from '#lib/channels/channels.ts';
import { isHashed } from '#lib/identifiers/values.ts';
import { takeCommerce } from './commerce.ts';
import { ContextReader, withoutQuery } from './context.ts';
import { standardName } from './event-names.ts';
import { IdentifierCollector, type IdentifierTools } from './identifiers.ts';
import { Inspector, type Json } from './inspect.ts';
import { MAX_EVENT_BYTES, MAX_IDENTIFIER, MAX_MESSAGE_ID, MAX_NAME } from './limits.ts';
import { dropPersonal, personalTraits } from './personal.ts';
import { type Clock, parseTime, skewOf, TIME_FORMAT, timeRule } from './time.ts';
import { readTraits, type TraitTools } from './traits.ts';
import type { Violations } from './violations.ts';

/** How this shop wants it. */
export interface Rules {
  readonly clock: Clock;
  /** ISO 4217, of amounts without a currency. */
  readonly currency: string;
  /** ISO 3166 alpha-2, of phone numbers without a country code. */
  readonly country: string;
  /** Names of traits that are personal besides the usual ones. */
  readonly personalTraits: readonly string[];
}

/** What the normaliser cannot do by itself: keys, and names nobody has used yet. */
export interface Tools extends IdentifierTools {
  seal(json: string, subject: string): Buffer;
  newMessageId(): string;
  /** Traits somebody declared, and what their values must be. */
  readonly traitTypes: TraitTools['types'];
}

/** The circumstances of a request, the same for all its events. */
export interface Arrival {
  readonly receivedAtMs: number;
  /** The sender's clock when it sent the request, as it wrote it. */
  readonly sentAt: unknown;
  /** Of the request; that of an event goes before it. */
  readonly context: Json | undefined;
  /** Look into every text of it (see needsCare). */
  readonly careful: boolean;
}

export const EVENT_TYPES: Readonly<Record<string, EventType>> = {
  __proto__: null as never,
  identify: EventType.EVENT_TYPE_IDENTIFY,
  track: EventType.EVENT_TYPE_TRACK,
  page: EventType.EVENT_TYPE_PAGE,
  screen: EventType.EVENT_TYPE_SCREEN,
  group: EventType.EVENT_TYPE_GROUP,
  alias: EventType.EVENT_TYPE_ALIAS,
};

const NOTHING = Buffer.alloc(0);
const EMPTY: Json = Object.freeze({});
const NO_TRAITS: Trait[] = [];

/** Makes events of the log from what senders write in the Segment format. Pure but for its caches. */
export class Normaliser {
  readonly #rules: Rules;
  readonly #tools: Tools;
  readonly #traitTools: TraitTools;
  readonly #inspector = new Inspector();
  readonly #context = new ContextReader();
  readonly #identifiers: IdentifierCollector;

  constructor(rules: Rules, tools: Tools) {
    this.#rules = rules;
    this.#tools = tools;
    this.#traitTools = {
      seal: (json, subject) => tools.seal(json, subject),
      personal: personalTraits(rules.personalTraits),
      types: tools.traitTypes,
    };
    this.#identifiers = new IdentifierCollector(tools);
  }

  /**
   * @param message as JSON.parse made it; it is used up
   * @param type what the path says; undefined when the message has to say it itself
   * @param source the channel it came through
   * @returns undefined when there are new violations
   */
  normalise(
    message: unknown,
    type: EventType | undefined,
    source: string,
    arrival: Arrival,
    violations: Violations,
  ): Event | undefined {
    const before = violations.count;
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      violations.add('', message, 'must be an object');
      return undefined;
    }
    const json = message as Json;
    if (!this.#sound(json, arrival.careful, violations)) return undefined;
    const kind = type ?? readType(json, violations);
    const context = contextOf(json, arrival, violations);
    const properties = objectAt(json, 'properties', violations) ?? EMPTY;
    const traits = traitsOf(json, context, kind, violations);
    const messageId = this.#messageId(json, violations);
    const name = readName(json, kind, properties, violations);
    const timeMs = this.#time(json, arrival, violations);
    // Properties change from here on: what has a place of its own is taken out.
    const identifiers = this.#identify(json, kind, properties, traits, context, violations);
    const subject = traits === EMPTY || kind !== EventType.EVENT_TYPE_IDENTIFY ? '' : this.#identifiers.subject;
    const track = kind === EventType.EVENT_TYPE_TRACK;
    let commerce: Commerce | undefined;
    if (track && properties !== EMPTY) commerce = takeCommerce(name, properties, this.#rules.currency, violations);
    else if (track) commerce = takeCommerce(name, {}, this.#rules.currency, violations);
    const readable = kind === EventType.EVENT_TYPE_IDENTIFY && traits !== EMPTY;
    const event: Event = {
      messageId,
      type: kind,
      name,
      timeMs,
      receivedAtMs: arrival.receivedAtMs,
      source,
      identifiers,
      traits: readable ? readTraits(traits, 'traits', subject, this.#traitTools, violations) : NO_TRAITS,
      commerce,
      propertiesJson: this.#properties(json, kind, properties, traits),
      contextJson: this.#context.read(context),
    };
    return violations.count === before ? event : undefined;
  }

  /** Nothing of the message is used before this has been through it. */
  #sound(json: Json, careful: boolean, violations: Violations): boolean {
    const fault = this.#inspector.inspect(json, careful);
    if (fault !== undefined) {
      violations.add(fault.field, fault.value, fault.rule);
      return false;
    }
    if (this.#inspector.sizeBound <= MAX_EVENT_BYTES) return true;
    const size = Buffer.byteLength(JSON.stringify(json));
    if (size <= MAX_EVENT_BYTES) return true;
    violations.oversized = true;
    violations.add('', `${size} bytes`, `must be at most ${MAX_EVENT_BYTES} bytes as JSON`);
    return false;
  }

  #messageId(json: Json, violations: Violations): string {
    const id = json.messageId;
    if (id === undefined || id === null || id === '') return this.#tools.newMessageId();
    if (typeof id === 'string' && id.length <= MAX_MESSAGE_ID) return id;
    violations.add('messageId', id, `must be text of 1 to ${MAX_MESSAGE_ID} characters`);
    return '';
  }

  #time(json: Json, arrival: Arrival, violations: Violations): number {
    const { clock } = this.#rules;
    const field = json.timestamp !== undefined && json.timestamp !== null ? 'timestamp' : 'originalTimestamp';
    const raw = json[field];
    if (raw === undefined || raw === null) return arrival.receivedAtMs;
    const told = parseTime(raw);
    if (told === undefined) {
      violations.add(field, raw, TIME_FORMAT);
      return 0;
    }
    // RudderStack writes sentAt into each message.
    const time = told + skewOf(json.sentAt ?? arrival.sentAt, arrival.receivedAtMs, clock);
    const rule = timeRule(time, arrival.receivedAtMs, clock);
    if (rule !== undefined) violations.add(field, raw, rule);
    return time;
  }

  #identify(
    json: Json,
    kind: EventType,
    properties: Json,
    traits: Json,
    context: Json,
    violations: Violations,
  ): Identifier[] {
    const ids = this.#identifiers;
    const before = violations.count;
    ids.reset();
    ids.take('user_id', json.userId, 'userId', violations);
    ids.take('anonymous_id', json.anonymousId, 'anonymousId', violations);
    if (kind === EventType.EVENT_TYPE_ALIAS) ids.take('anonymous_id', json.previousId, 'previousId', violations);
    if (kind === EventType.EVENT_TYPE_GROUP) checkGroup(json, violations);
    // The traits of a group are not those of a customer.
    if (kind !== EventType.EVENT_TYPE_GROUP && traits !== EMPTY) this.#contacts(traits, 'traits', violations);
    if (kind === EventType.EVENT_TYPE_IDENTIFY && traits !== EMPTY) this.#addresses(traits, violations);
    if (properties !== EMPTY) this.#contacts(properties, 'properties', violations);
    const { device } = context;
    if (typeof device === 'object' && device !== null)
      ids.take('device_id', (device as Json).id, 'context.device.id', violations);
    ids.takeExternalIds(context.externalIds, violations);
    const found = ids.finish();
    if (found.length === 0 && violations.count === before) {
      violations.add(
        'userId',
        json.userId,
        'or another identifier (anonymousId, email, phone, device, external id) must name somebody',
      );
    }
    return found;
  }

  /** E-mail and phone become identifiers; as traits they stay, in the one form they are matched by. */
  #contacts(from: Json, path: string, violations: Violations): void {
    if (from.email !== undefined && from.email !== null) {
      // An address nothing can be sent to is of no use as a trait either.
      from.email = this.#identifiers.take('email', from.email, `${path}.email`, violations);
    }
    if (from.phone !== undefined && from.phone !== null) {
      const taken = this.#identifiers.take('phone', from.phone, `${path}.phone`, violations);
      // A hash matches but cannot be called: it is no trait.
      from.phone = taken !== undefined && isHashed(taken) ? undefined : (taken ?? from.phone);
    }
  }

  /** As e-mail and phone, of an identify: an address is only ever set by one. */
  #addresses(traits: Json, violations: Violations): void {
    for (const name of PLAIN_IDENTIFIERS) {
      const given = traits[name];
      if (given === undefined || given === null) continue;
      traits[name] = this.#identifiers.take(name, given, `traits.${name}`, violations);
    }
  }

  #properties(json: Json, kind: EventType, properties: Json, traits: Json): Buffer {
    if (kind === EventType.EVENT_TYPE_GROUP) return groupProperties(json, properties, traits);
    if (properties === EMPTY) return NOTHING;
    if (this.#inspector.personal) dropPersonal(properties);
    if (kind === EventType.EVENT_TYPE_PAGE || kind === EventType.EVENT_TYPE_SCREEN) tidyPage(json, properties);
    const text = JSON.stringify(properties);
    return text === '{}' ? NOTHING : Buffer.from(text);
  }
}

function readType(json: Json, violations: Violations): EventType {
  const type = typeof json.type === 'string' ? EVENT_TYPES[json.type] : undefined;
  if (type !== undefined) return type;
  violations.add('type', json.type, 'must be one of identify, track, page, screen, group, alias');
  return EventType.EVENT_TYPE_UNSPECIFIED;
}

function objectAt(json: Json, key: string, violations: Violations): Json | undefined {
  const value = json[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Json;
  violations.add(key, value, 'must be an object');
  return undefined;
}

function contextOf(json: Json, arrival: Arrival, violations: Violations): Json {
  const own = objectAt(json, 'context', violations);
  if (arrival.context === undefined) return own ?? EMPTY;
  return own === undefined ? arrival.context : { ...arrival.context, ...own };
}

/** Some SDKs write the traits of an identify into its context, others into both. */
function traitsOf(json: Json, context: Json, kind: EventType, violations: Violations): Json {
  const own = objectAt(json, 'traits', violations);
  const inContext = context.traits;
  if (typeof inContext !== 'object' || inContext === null || Array.isArray(inContext)) return own ?? EMPTY;
  if (kind === EventType.EVENT_TYPE_GROUP) return own ?? EMPTY;
  // A copy: the context may belong to the whole request.
  return own === undefined ? { ...(inContext as Json) } : { ...(inContext as Json), ...own };
}

function readName(json: Json, kind: EventType, properties: Json, violations: Violations): string {
  if (kind === EventType.EVENT_TYPE_TRACK) {
    const name = typeof json.event === 'string' ? json.event.trim() : '';
    if (name !== '' && name.length <= MAX_NAME) return standardName(name);
    violations.add('event', json.event, `must be text of 1 to ${MAX_NAME} characters`);
    return '';
  }
  if (kind !== EventType.EVENT_TYPE_PAGE && kind !== EventType.EVENT_TYPE_SCREEN) return '';
  const name = json.name ?? properties.name;
  if (name === undefined || name === null) return '';
  if (typeof name === 'string' && name.length <= MAX_NAME) return name;
  violations.add('name', name, `must be text of at most ${MAX_NAME} characters`);
  return '';
}

function checkGroup(json: Json, violations: Violations): void {
  const { groupId } = json;
  const fine =
    (typeof groupId === 'string' && groupId !== '' && groupId.length <= MAX_IDENTIFIER) || typeof groupId === 'number';
  if (!fine) violations.add('groupId', groupId, `must be text of 1 to ${MAX_IDENTIFIER} characters`);
}

/** Addresses of pages carry all kinds of things in their query; campaigns are in the context. */
function tidyPage(json: Json, properties: Json): void {
  properties.search = undefined;
  if (typeof properties.name === 'string') properties.name = undefined;
  for (const key of ['url', 'referrer', 'path']) {
    const value = properties[key];
    if (typeof value === 'string') properties[key] = withoutQuery(value);
  }
  if (typeof json.category === 'string' && properties.category === undefined) properties.category = json.category;
}

function groupProperties(json: Json, properties: Json, traits: Json): Buffer {
  dropPersonal(properties);
  dropPersonal(traits);
  const kept = { ...properties, group_id: String(json.groupId), traits: traits === EMPTY ? undefined : traits };
  return Buffer.from(JSON.stringify(kept));
}
