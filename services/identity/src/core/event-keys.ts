import { WireReader } from '#lib/wire/wire.ts';

/** Of an event only what identity looks at: two or three fields read by tag, the rest is passed on as bytes. */
export interface EventKeys {
  messageId: string;
  source: string;
  timeMs: number;
  identifiers: IdentifierKey[];
  /** Of a derived event: the customer it is about, as known when it was written; otherwise empty. */
  customerId: string;
}

export interface IdentifierKey {
  readonly type: string;
  readonly hash: Uint8Array;
  /** Type and hash as one string: key of maps, and of Redis. */
  readonly key: string;
}

/** Tags of recur.log.v1.Event and Identifier: field number and wire type. */
const MESSAGE_ID = 10;
const TIME_MS = 32;
const SOURCE = 50;
const IDENTIFIERS = 58;
/** Type of the one identifier that names a customer by its id: no sender can write it. */
const CUSTOMER = '$customer';
const TYPE = 10;
const HASH = 18;

export function readEventKeys(body: Uint8Array): EventKeys {
  const r = new WireReader(body);
  const keys: EventKeys = { messageId: '', source: '', timeMs: 0, identifiers: [], customerId: '' };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === MESSAGE_ID) keys.messageId = r.string();
    else if (tag === TIME_MS) keys.timeMs = r.signed();
    else if (tag === SOURCE) keys.source = r.name();
    else if (tag === IDENTIFIERS) keys.identifiers.push(readIdentifier(r));
    else r.skip(tag);
  }
  const [only] = keys.identifiers;
  if (only?.type === CUSTOMER) return { ...keys, identifiers: [], customerId: Buffer.from(only.hash).toString('utf8') };
  return keys;
}

function readIdentifier(r: WireReader): IdentifierKey {
  const outer = r.enter();
  let type = '';
  let hash: Uint8Array = EMPTY;
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === TYPE) type = r.name();
    else if (tag === HASH) hash = r.view();
    else r.skip(tag);
  }
  r.leave(outer);
  return { type, hash, key: identifierKey(type, hash) };
}

const EMPTY = Buffer.alloc(0);

export function identifierKey(type: string, hash: Uint8Array): string {
  const bytes = hash instanceof Buffer ? hash : Buffer.from(hash.buffer, hash.byteOffset, hash.length);
  return `${type}:${bytes.toString('base64url')}`;
}
