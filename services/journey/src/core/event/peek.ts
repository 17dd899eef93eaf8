import { EventType } from '#gen/recur/log/v1/event.ts';

const TYPE_TAG = (2 << 3) | 0;
const NAME_TAG = (3 << 3) | 2;

/** Before the names of derived events: no name a sender can use begins like this. */
const DERIVED = '\u0000';

/** Whether an event may carry traits, by the name journeys know it by. */
export const mayCarryTraits = (name: string): boolean => name === 'identify' || name.startsWith(DERIVED);

/** Name by which a request to let a customer into a journey is known, a derived event named after the journey. */
export const requestName = (journeyId: string): string => DERIVED + journeyId;

/** Of the event looked at last: where its name is, when it has one and is known by it. */
let nameFrom = 0;
let nameTo = 0;

/** The type of an encoded Event, read without decoding the rest; 0 when it cannot be told. */
function peek(bytes: Uint8Array, from: number, to: number): EventType | 0 {
  let at = from;
  let type: EventType | 0 = 0;
  nameFrom = 0;
  nameTo = 0;
  while (at < to) {
    const tag = bytes[at++]!;
    if (tag === TYPE_TAG) {
      type = bytes[at++]! as EventType;
      if (type !== EventType.EVENT_TYPE_TRACK && type !== EventType.EVENT_TYPE_DERIVED) return type;
    } else if (tag === NAME_TAG) {
      const length = varint(bytes, at);
      nameFrom = at + varintLength(bytes, at);
      nameTo = Math.min(nameFrom + length, to);
      return type;
    } else at = skip(bytes, at, tag & 7, to);
  }
  return type;
}

/**
 * Name journeys know an encoded Event by, read without decoding the rest: the name of a track event; "page", "screen" and
 * "identify" for those; `requestName` of a request, `requestName('')` of other derived events. Undefined for other types.
 */
export function peekEventName(bytes: Uint8Array, from = 0, to = bytes.length): string | undefined {
  switch (peek(bytes, from, to)) {
    case EventType.EVENT_TYPE_TRACK:
      return nameFrom === 0 ? undefined : text(bytes, nameFrom, nameTo);
    case EventType.EVENT_TYPE_DERIVED:
      return DERIVED + text(bytes, nameFrom, nameTo);
    case EventType.EVENT_TYPE_PAGE:
      return 'page';
    case EventType.EVENT_TYPE_SCREEN:
      return 'screen';
    case EventType.EVENT_TYPE_IDENTIFY:
      return 'identify';
    default:
      return undefined;
  }
}

/**
 * Whether an encoded Event is one of those journeys wait for, or may carry traits, told from its bytes: the stage sees every event and
 * cares for few, so this is its hot path.
 */
export class WantedEvents {
  readonly #names: ReadonlySet<string>;
  /** Names as they are encoded, by their length. */
  readonly #encoded: (readonly Uint8Array[])[] = [];

  constructor(names: ReadonlySet<string>) {
    this.#names = names;
    for (const name of names) {
      const bytes = Buffer.from(name);
      this.#encoded[bytes.length] = [...(this.#encoded[bytes.length] ?? []), bytes];
    }
  }

  has(bytes: Uint8Array, from: number, to: number): boolean {
    switch (peek(bytes, from, to)) {
      case EventType.EVENT_TYPE_TRACK:
        return nameFrom > 0 && this.#isWanted(bytes);
      case EventType.EVENT_TYPE_DERIVED:
      case EventType.EVENT_TYPE_IDENTIFY:
        return true;
      case EventType.EVENT_TYPE_PAGE:
        return this.#names.has('page');
      case EventType.EVENT_TYPE_SCREEN:
        return this.#names.has('screen');
      default:
        return false;
    }
  }

  #isWanted(bytes: Uint8Array): boolean {
    const candidates = this.#encoded[nameTo - nameFrom];
    if (candidates === undefined) return false;
    for (const name of candidates) if (isAt(bytes, nameFrom, name)) return true;
    return false;
  }
}

function isAt(bytes: Uint8Array, from: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}

function skip(body: Uint8Array, at: number, wire: number, to: number): number {
  switch (wire) {
    case 0:
      return at + varintLength(body, at);
    case 1:
      return at + 8;
    case 2:
      return at + varintLength(body, at) + varint(body, at);
    case 5:
      return at + 4;
    default:
      return to;
  }
}

function varintLength(body: Uint8Array, at: number): number {
  let length = 1;
  while (at < body.length && body[at++]! > 127) length++;
  return length;
}

/** Lengths only: at most five bytes. */
function varint(body: Uint8Array, at: number): number {
  let value = 0;
  for (let shift = 1; at < body.length && shift < 2 ** 35; shift *= 128) {
    const byte = body[at++]!;
    value += (byte & 127) * shift;
    if (byte < 128) break;
  }
  return value;
}

const utf8 = new TextDecoder();

/** Short ASCII names, nearly all of them, are put together faster than a decoder starts. */
function text(body: Uint8Array, start: number, end: number): string {
  let name = '';
  for (let at = start; at < end; at++) {
    const byte = body[at]!;
    if (byte > 127) return utf8.decode(body.subarray(start, end));
    name += String.fromCharCode(byte);
  }
  return name;
}
