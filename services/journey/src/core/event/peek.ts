import { EventType } from '#gen/recur/log/v1/event.ts';

const TYPE_TAG = (2 << 3) | 0;
const NAME_TAG = (3 << 3) | 2;

/** Before the names of derived events: no name a sender can use begins like this. */
const DERIVED = '\u0000';

/** Whether an event may carry traits, by the name journeys know it by. */
export const mayCarryTraits = (name: string): boolean => name === 'identify' || name.startsWith(DERIVED);

/** Name by which a request to let a customer into a journey is known, a derived event named after the journey. */
export const requestName = (journeyId: string): string => DERIVED + journeyId;

/**
 * Name journeys know an encoded Event by, read without decoding the rest: the name of a track event; "page", "screen" and
 * "identify" for those; `requestName` of a request, `requestName('')` of other derived events. Undefined for other types. The stage sees every event and cares for few, so this is its hot path.
 */
export function peekEventName(body: Uint8Array): string | undefined {
  let at = 0;
  let type = 0;
  while (at < body.length) {
    const tag = body[at++]!;
    if (tag === TYPE_TAG) {
      type = body[at++]!;
      if (type === EventType.EVENT_TYPE_PAGE) return 'page';
      if (type === EventType.EVENT_TYPE_SCREEN) return 'screen';
      if (type === EventType.EVENT_TYPE_IDENTIFY) return 'identify';
      if (type !== EventType.EVENT_TYPE_TRACK && type !== EventType.EVENT_TYPE_DERIVED) return undefined;
      continue;
    }
    if (tag !== NAME_TAG) {
      at = skip(body, at, tag & 7);
      continue;
    }
    const length = varint(body, at);
    const start = at + varintLength(body, at);
    if (type === EventType.EVENT_TYPE_DERIVED) return DERIVED + text(body, start, start + length);
    return type === EventType.EVENT_TYPE_TRACK ? text(body, start, start + length) : undefined;
  }
  return type === EventType.EVENT_TYPE_DERIVED ? requestName('') : undefined;
}

function skip(body: Uint8Array, at: number, wire: number): number {
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
      return body.length;
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
