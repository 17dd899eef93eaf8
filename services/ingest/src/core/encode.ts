import type { Commerce, Event, Identifier, Line, Trait } from '#gen/recur/log/v1/event.ts';

const SLAB_BYTES = 256 * 1024;
/** Tags, lengths and numbers of an event without its parts. */
const FIXED = 128;
/** Up to here a loop is quicker than a call. */
const SHORT = 24;

/**
 * recur.log.v1.Event by hand, several times as fast as the generated code (bench/normalise.ts). Events are written one
 * after the other into large buffers and given out as views, so no event costs an allocation of its own. A test holds this
 * against the generated code.
 */
export class EventEncoder {
  #buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #pos = 0;

  /** The bytes stay as they are: a buffer is never written over. */
  encode(event: Event): Buffer {
    const bound = boundOf(event);
    if (this.#pos + bound > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bound));
      this.#pos = 0;
    }
    const start = this.#pos;
    this.#text(0x0a, event.messageId);
    this.#number(0x10, event.type);
    this.#text(0x1a, event.name);
    this.#number(0x20, event.timeMs);
    this.#number(0x28, event.receivedAtMs);
    this.#text(0x32, event.source);
    for (let i = 0; i < event.identifiers.length; i++) this.#identifier(event.identifiers[i] as Identifier);
    for (let i = 0; i < event.traits.length; i++) this.#trait(event.traits[i] as Trait);
    if (event.commerce !== undefined) this.#commerce(event.commerce);
    this.#bytes(0x52, event.propertiesJson);
    this.#bytes(0x5a, event.contextJson);
    return this.#buffer.subarray(start, this.#pos);
  }

  #identifier({ type, hash }: Identifier): void {
    const start = this.#open(0x3a);
    this.#text(0x0a, type);
    this.#bytes(0x12, hash);
    this.#close(start);
  }

  #trait({ name, json, sealed }: Trait): void {
    const start = this.#open(0x42);
    this.#text(0x0a, name);
    this.#bytes(0x12, json);
    this.#bytes(0x1a, sealed);
    this.#close(start);
  }

  #commerce(commerce: Commerce): void {
    const start = this.#open(0x4a);
    this.#text(0x0a, commerce.orderId);
    this.#number(0x10, commerce.amountMicros);
    this.#text(0x1a, commerce.currency);
    this.#number(0x20, commerce.part);
    for (let i = 0; i < commerce.lines.length; i++) this.#line(commerce.lines[i] as Line);
    this.#text(0x32, commerce.coupon);
    this.#close(start);
  }

  #line({ productId, name, category, quantity, priceMicros }: Line): void {
    const start = this.#open(0x2a);
    this.#text(0x0a, productId);
    this.#text(0x12, name);
    this.#text(0x1a, category);
    // sint64: zigzag
    this.#number(0x20, quantity >= 0 ? quantity * 2 : -quantity * 2 - 1);
    this.#number(0x28, priceMicros);
    this.#close(start);
  }

  #open(tag: number): number {
    this.#buffer[this.#pos++] = tag;
    // Room for a length below 128; `close` makes more when it is needed.
    return ++this.#pos;
  }

  #close(start: number): void {
    const length = this.#pos - start;
    this.#length(start - 1, length);
  }

  /** Writes the length of what follows `at` + 1, moving it when the length takes more than a byte. */
  #length(at: number, length: number): void {
    const size = length < 0x80 ? 1 : length < 0x4000 ? 2 : 3;
    if (size > 1) {
      this.#buffer.copyWithin(at + size, at + 1, at + 1 + length);
      this.#pos += size - 1;
    }
    this.#varintAt(at, length);
  }

  #varintAt(at: number, value: number): void {
    const buffer = this.#buffer;
    let rest = value;
    let i = at;
    while (rest > 0x7f) {
      buffer[i++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[i] = rest;
  }

  #text(tag: number, text: string): void {
    const length = text.length;
    if (length === 0) return;
    const buffer = this.#buffer;
    buffer[this.#pos++] = tag;
    const at = this.#pos++;
    if (length <= 40) {
      let pos = at + 1;
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        buffer[pos++] = code;
      }
      if (i === length) {
        buffer[at] = length;
        this.#pos = pos;
        return;
      }
    }
    const size = buffer.write(text, at + 1, 'utf8');
    this.#pos += size;
    this.#length(at, size);
  }

  #bytes(tag: number, bytes: Uint8Array): void {
    const length = bytes.length;
    if (length === 0) return;
    this.#buffer[this.#pos++] = tag;
    const at = this.#pos;
    this.#pos += length < 0x80 ? 1 : length < 0x4000 ? 2 : 3;
    this.#varintAt(at, length);
    if (length > SHORT) this.#buffer.set(bytes, this.#pos);
    else for (let i = 0; i < length; i++) this.#buffer[this.#pos + i] = bytes[i] as number;
    this.#pos += length;
  }

  /** Whole numbers from 0 to 2^53. */
  #number(tag: number, value: number): void {
    if (value === 0) return;
    const buffer = this.#buffer;
    let pos = this.#pos;
    buffer[pos++] = tag;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      buffer[pos++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      buffer[pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[pos++] = rest;
    this.#pos = pos;
  }
}

/** At least as many bytes as the event takes. */
function boundOf(event: Event): number {
  const { messageId, name, source, identifiers, traits, commerce, propertiesJson, contextJson } = event;
  let bound = FIXED + (messageId.length + name.length + source.length) * 3 + propertiesJson.length + contextJson.length;
  for (let i = 0; i < identifiers.length; i++) {
    const { type, hash } = identifiers[i] as Identifier;
    bound += type.length * 3 + hash.length + 12;
  }
  for (let i = 0; i < traits.length; i++) {
    const trait = traits[i] as Trait;
    bound += trait.name.length * 3 + trait.json.length + trait.sealed.length + 20;
  }
  if (commerce === undefined) return bound;
  bound += (commerce.orderId.length + commerce.currency.length + commerce.coupon.length) * 3;
  for (let i = 0; i < commerce.lines.length; i++) {
    const line = commerce.lines[i] as Line;
    bound += (line.productId.length + line.name.length + line.category.length) * 3 + 48;
  }
  return bound;
}
