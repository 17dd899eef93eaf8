import { EventType } from '#gen/recur/log/v1/event.ts';

/** What an event can mean to messaging. Everything else costs a look at two fields. */
export type EventInterest =
  | 'identify'
  | 'consent_given'
  | 'consent_withdrawn'
  | 'unsubscribed'
  | 'bounced'
  | 'complained'
  | 'delivered'
  | 'opened'
  | 'clicked'
  | 'settled';

const TRACKED: ReadonlyMap<string, EventInterest> = new Map([
  ['Consent Given', 'consent_given'],
  ['Consent Withdrawn', 'consent_withdrawn'],
  ['Unsubscribed', 'unsubscribed'],
  ['Email Bounced', 'bounced'],
  ['Email Complained', 'complained'],
  // The Segment e-mail specification's name for it.
  ['Email Marked as Spam', 'complained'],
  ['Email Delivered', 'delivered'],
  ['Email Opened', 'opened'],
  ['Email Link Clicked', 'clicked'],
  ['Email Clicked', 'clicked'],
  // Of channels the specification has no names for; their property `channel` says which.
  ['Message Delivered', 'delivered'],
  ['Message Opened', 'opened'],
  ['Message Clicked', 'clicked'],
  ['Message Replied', 'opened'],
  ['Message Bounced', 'bounced'],
  ['Message Complained', 'complained'],
]);
/** Written by Recur only: a person said what became of a message nobody knew it of. */
export const SETTLED_EVENT = 'Message Settled';

const LONGEST = Math.max(...[...TRACKED.keys(), SETTLED_EVENT].map((name) => name.length));
/** First and last letter tell most names apart without making a string of them. */
const ENDS = new Set([...TRACKED.keys()].map((name) => ends(name.charCodeAt(0), name.charCodeAt(name.length - 1))));

function ends(first: number, last: number): number {
  return (first << 8) | last;
}

/**
 * Reads `type` and `name` of an encoded recur.log.v1.Event by its tags, without decoding the rest. Most events are page
 * views and product views and end here.
 */
export function interestOf(body: Uint8Array, from = 0, to = body.length): EventInterest | undefined {
  let type = 0;
  let nameAt = -1;
  let nameLength = 0;
  let pos = from;
  while (pos < to) {
    const tag = body[pos++] ?? 0;
    // Fields above 15 need two bytes; Event has none, so whatever it is belongs to a newer version.
    if (tag > 0x7f) return undefined;
    const wire = tag & 7;
    let value = 0;
    let scale = 1;
    if (wire !== 0 && wire !== 2) return undefined;
    for (;;) {
      const byte = body[pos++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    if (tag === 0x10) {
      type = value;
      if (type === EventType.EVENT_TYPE_IDENTIFY) return 'identify';
      if (type !== EventType.EVENT_TYPE_TRACK && type !== EventType.EVENT_TYPE_DERIVED) return undefined;
      if (nameAt >= 0) break;
    } else if (tag === 0x1a) {
      nameAt = pos;
      nameLength = value;
      if (type !== 0) break;
    }
    if (wire === 2) pos += value;
  }
  if (nameAt < 0 || nameAt + nameLength > to || nameLength > LONGEST || nameLength === 0) return undefined;
  if (type === EventType.EVENT_TYPE_DERIVED)
    return nameOf(body, nameAt, nameLength) === SETTLED_EVENT ? 'settled' : undefined;
  if (type !== EventType.EVENT_TYPE_TRACK) return undefined;
  if (!ENDS.has(ends(body[nameAt] ?? 0, body[nameAt + nameLength - 1] ?? 0))) return undefined;
  return TRACKED.get(nameOf(body, nameAt, nameLength));
}

function nameOf(body: Uint8Array, at: number, length: number): string {
  return Buffer.from(body.buffer, body.byteOffset + at, length).toString('latin1');
}
