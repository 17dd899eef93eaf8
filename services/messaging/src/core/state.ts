import {
  type CustomerState,
  MessageEntry,
  MessageStatus,
  CustomerState as Stored,
} from '#gen/recur/messaging/v1/state.ts';
import { WireReader, WireWriter } from '#lib/wire/wire.ts';

/** Field 9 of CustomerState and field 9 of MessageEntry, by their tags. */
const MESSAGES = 74;
const STATUS = 72;
const KEEP_MESSAGES = 50;

/** A message as stored, a byte in each character: most are passed on as they are, and nobody needs to know what is in them. */
type Closed = string;

const NO_BYTES = Buffer.alloc(0);
const NO_FIELDS = Stored.fromPartial({});

/**
 * What messaging knows of one customer. The messages there were make most of it, and are read only when somebody asks for them: a
 * decision looks at their keys and whether they are under way.
 */
export class MessagingState implements CustomerState {
  email: CustomerState['email'];
  traits: CustomerState['traits'];
  locale: CustomerState['locale'];
  timeZone: CustomerState['timeZone'];
  consents: CustomerState['consents'];
  suppressions: CustomerState['suppressions'];
  marketingSends: CustomerState['marketingSends'];
  deferred: CustomerState['deferred'];
  decidedKeys: CustomerState['decidedKeys'];
  addresses: CustomerState['addresses'];
  withFallback: CustomerState['withFallback'];
  #messages: (Closed | MessageEntry)[];

  constructor(rest: Omit<CustomerState, 'messages'>, messages: (Closed | MessageEntry)[]) {
    this.email = rest.email;
    this.traits = rest.traits;
    this.locale = rest.locale;
    this.timeZone = rest.timeZone;
    this.consents = rest.consents;
    this.suppressions = rest.suppressions;
    this.marketingSends = rest.marketingSends;
    this.deferred = rest.deferred;
    this.decidedKeys = rest.decidedKeys;
    this.addresses = rest.addresses;
    this.withFallback = rest.withFallback;
    this.#messages = messages;
  }

  static of(given: Partial<CustomerState>): MessagingState {
    const state = { ...Stored.fromPartial({}), ...given };
    return new MessagingState(state, state.messages);
  }

  /** All of them, oldest first, to be read or changed. */
  get messages(): MessageEntry[] {
    const all = this.#messages;
    for (let i = 0; i < all.length; i++) all[i] = open(all[i] as Closed | MessageEntry);
    return all as MessageEntry[];
  }

  set messages(entries: MessageEntry[]) {
    this.#messages = entries;
  }

  /** The newest message with this idempotency key, to be read or changed. */
  find(key: string): MessageEntry | undefined {
    const at = this.#indexOf(key);
    if (at < 0) return undefined;
    const entry = open(this.#messages[at] as Closed | MessageEntry);
    this.#messages[at] = entry;
    return entry;
  }

  has(key: string): boolean {
    return this.#indexOf(key) >= 0;
  }

  /** How many wait or are being sent. */
  get underWay(): number {
    let count = 0;
    for (const message of this.#messages) if (isUnderWay(message)) count++;
    return count;
  }

  /** Enters a message as the newest, in place of what there was under its key. The oldest go, but never one under way. */
  enter(entry: MessageEntry): void {
    const at = this.#indexOf(entry.idempotencyKey);
    if (at >= 0) this.#messages.splice(at, 1);
    this.#messages.push(entry);
    this.#messages = newest(this.#messages);
  }

  /** Keys are never empty, so that a message as stored begins with its key. */
  #indexOf(key: string): number {
    const stored = keyField(key);
    return this.#messages.findLastIndex((message) =>
      typeof message === 'string' ? message.startsWith(stored) : message.idempotencyKey === key,
    );
  }

  /** In the order of their numbers, as the generated code would write it; what was open is closed again. */
  static encode(state: MessagingState): Buffer {
    const { email, traits, locale, timeZone, consents, suppressions, marketingSends, deferred } = state;
    const before = { email, traits, locale, timeZone, consents, suppressions, marketingSends, deferred };
    const { decidedKeys, addresses, withFallback } = state;
    writer.reset();
    writer.fields(Stored.encode({ ...NO_FIELDS, ...before }).finish());
    const all = state.#messages;
    for (let i = 0; i < all.length; i++) {
      const message = close(all[i] as Closed | MessageEntry);
      all[i] = message;
      writer.raw(9, message);
    }
    writer.fields(Stored.encode({ ...NO_FIELDS, decidedKeys, addresses, withFallback }).finish());
    return writer.finish();
  }

  /** @throws RangeError when the bytes are no state */
  static decode(bytes: Uint8Array): MessagingState {
    const reader = new WireReader(bytes);
    const messages: Closed[] = [];
    const rest: Uint8Array[] = [];
    let from = 0;
    while (reader.pos < reader.end) {
      const at = reader.pos;
      const tag = reader.varint();
      if (tag !== MESSAGES) reader.skip(tag);
      else {
        if (at > from) rest.push(bytes.subarray(from, at));
        messages.push(reader.raw());
        from = reader.pos;
      }
    }
    if (bytes.length > from) rest.push(bytes.subarray(from));
    const fields = rest.length === 1 ? (rest[0] as Uint8Array) : rest.length === 0 ? NO_BYTES : Buffer.concat(rest);
    return new MessagingState(Stored.decode(fields), messages);
  }
}

// Writing never yields, so one writer serves the thread.
const writer = new WireWriter();

/** The newest messages; those under way stay, however old. */
export function newest<T extends Closed | MessageEntry>(messages: T[]): T[] {
  let excess = messages.length - KEEP_MESSAGES;
  if (excess <= 0) return messages;
  return messages.filter((message) => isUnderWay(message) || excess-- <= 0);
}

function isUnderWay(message: Closed | MessageEntry): boolean {
  const status = typeof message === 'string' ? statusOf(message) : message.status;
  return status === MessageStatus.MESSAGE_STATUS_SENDING || status === MessageStatus.MESSAGE_STATUS_DEFERRED;
}

function open(message: Closed | MessageEntry): MessageEntry {
  return typeof message === 'string' ? MessageEntry.decode(Buffer.from(message, 'latin1')) : message;
}

function close(message: Closed | MessageEntry): Closed {
  return typeof message === 'string' ? message : latin1(MessageEntry.encode(message).finish());
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** The field of an idempotency key, as stored. */
function keyField(key: string): string {
  const bytes = isAscii(key) ? key : Buffer.from(key).toString('latin1');
  const { length } = bytes;
  // Keys have at most 256 characters, of four bytes at most.
  const size = length < 0x80 ? String.fromCharCode(length) : String.fromCharCode((length & 0x7f) | 0x80, length >>> 7);
  return `\n${size}${bytes}`;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Reads the status without the rest: everything before it is strings. */
function statusOf(message: Closed): MessageStatus {
  let pos = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; pos < message.length; scale *= 128) {
      const byte = message.charCodeAt(pos++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (pos < message.length) {
    const tag = varint();
    const value = varint();
    if (tag === STATUS) return value as MessageStatus;
    if (tag > STATUS) break;
    if ((tag & 7) === 2) pos += value;
  }
  return MessageStatus.MESSAGE_STATUS_UNSPECIFIED;
}
