/**
 * Reads protobuf messages by walking their tags: nothing is decoded but numbers, strings stay where they are as
 * (start, end) in the message. A plan says which fields are wanted and where to put them; the rest is stepped over.
 * A test holds this against the generated code.
 */

/** What to do with a field. */
export type Slot =
  /** Keep the value: both halves of an integer, or start and end of bytes. */
  | { readonly do: 'keep'; readonly at: number; readonly zigzag: boolean }
  /** Step into a nested message with the plan for its fields. */
  | { readonly do: 'enter'; readonly plan: Plan }
  | Collect;

/**
 * Of every occurrence: start and end, or, with a plan, both halves of each value the plan keeps of it, one occurrence
 * after the other. `scratch` has room for one. `next`: another list of the same occurrences.
 */
export interface Collect {
  readonly do: 'collect';
  readonly list: number;
  readonly plan?: Plan;
  readonly scratch: Values;
  readonly next?: Collect | undefined;
}

/** Slots by field number. */
export type Plan = readonly (Slot | undefined)[];

/** The wanted values of one message. `lo`/`hi` are the halves of an integer, or start and end of bytes; 0 when absent. */
export interface Values {
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
  /** What was collected of repeated fields. */
  readonly lists: number[][];
}

export function newValues(kept: number, lists: number): Values {
  return { lo: new Uint32Array(kept), hi: new Uint32Array(kept), lists: Array.from({ length: lists }, () => []) };
}

/** @param from the places before are not the message's */
export function resetValues(v: Values, from = 0): void {
  const { lo, hi, lists } = v;
  for (let i = from; i < lo.length; i++) {
    lo[i] = 0;
    hi[i] = 0;
  }
  for (let i = 0; i < lists.length; i++) (lists[i] as number[]).length = 0;
}

export class MalformedMessage extends Error {}

/** A cursor over one message; the halves of the varint read last are in `lo` and `hi`. */
export class Scanner {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  lo = 0;
  hi = 0;

  varint(): void {
    const b = this.bytes;
    let at = this.at;
    let byte = b[at++] as number;
    if (byte < 0x80) {
      this.at = at;
      this.lo = byte;
      this.hi = 0;
      return;
    }
    let lo = byte & 0x7f;
    let shift = 7;
    for (; shift < 28; shift += 7) {
      byte = b[at++] as number;
      lo |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        this.lo = lo;
        this.hi = 0;
        return;
      }
    }
    byte = b[at++] as number;
    lo |= (byte & 0x0f) << 28;
    let hi = (byte & 0x7f) >> 4;
    for (shift = 3; byte >= 0x80 && shift < 38; shift += 7) {
      byte = b[at++] as number;
      if (shift < 32) hi |= (byte & 0x7f) << shift;
    }
    if (byte === undefined || byte >= 0x80 || at > b.length)
      throw new MalformedMessage(`varint at ${this.at} does not end`);
    this.at = at;
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }

  /** Length of the bytes that follow, checked against the end of the message they are in. */
  length(end: number): number {
    this.varint();
    if (this.hi !== 0 || this.at + this.lo > end)
      throw new MalformedMessage(`field of ${this.lo} bytes at ${this.at} reaches over the end`);
    return this.lo;
  }

  /** Steps over a value of this wire type. */
  skip(wire: number, end: number): void {
    if (wire === 0) this.varint();
    else if (wire === 2) {
      // Reading the length moves `at`.
      const length = this.length(end);
      this.at += length;
    } else if (wire === 5) this.at += 4;
    else if (wire === 1) this.at += 8;
    else throw new MalformedMessage(`wire type ${wire} at ${this.at}`);
    if (this.at > end) throw new MalformedMessage(`message ends in the middle of a field`);
  }

  /** Fills `into` with what `plan` wants of the message in [start, end). */
  read(plan: Plan, start: number, end: number, into: Values): void {
    this.at = start;
    while (this.at < end) {
      this.varint();
      const wire = this.lo & 7;
      const slot = plan[this.lo >>> 3];
      if (slot === undefined) this.skip(wire, end);
      else if (wire === 2) {
        const length = this.length(end);
        const from = this.at;
        const to = from + length;
        if (slot.do === 'keep') {
          into.lo[slot.at] = from;
          into.hi[slot.at] = to;
        } else if (slot.do === 'enter') this.read(slot.plan, from, to, into);
        else {
          for (let one: Collect | undefined = slot; one !== undefined; one = one.next)
            this.#collect(one, from, to, into.lists[one.list] as number[]);
        }
        this.at = to;
      } else if (wire === 0 && slot.do === 'keep') {
        this.varint();
        if (slot.zigzag) this.#unzigzag();
        into.lo[slot.at] = this.lo;
        into.hi[slot.at] = this.hi;
      } else this.skip(wire, end);
    }
    if (this.at !== end) throw new MalformedMessage(`message ends in the middle of a field`);
  }

  #collect(slot: Collect, from: number, to: number, list: number[]): void {
    if (!slot.plan) {
      list.push(from, to);
      return;
    }
    const { scratch } = slot;
    resetValues(scratch);
    this.read(slot.plan, from, to, scratch);
    for (let i = 0; i < scratch.lo.length; i++) list.push(scratch.lo[i] as number, scratch.hi[i] as number);
  }

  #unzigzag(): void {
    const sign = -(this.lo & 1);
    const lo = ((this.lo >>> 1) | (this.hi << 31)) ^ sign;
    this.hi = ((this.hi >>> 1) ^ sign) >>> 0;
    this.lo = lo >>> 0;
  }
}
