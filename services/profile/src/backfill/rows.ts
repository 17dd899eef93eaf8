import type { Line } from '#gen/recur/log/v1/event.ts';
import type { Happening } from '../core/computed/happening.ts';
import { scalarsOf } from '../core/computed/value-test.ts';

/** A row of history: an event, and whose it was. */
export interface HistoryRow {
  readonly customerId: string;
  readonly happening: Happening;
}

const NO_SCALARS: readonly never[] = [];

/**
 * Reads the rows analytics scans (recur.analytics.v1.ScanEventsResponse), as they come in pieces. `paths` are those asked
 * for, in their order.
 */
export class HistoryRows {
  readonly #paths: readonly string[];
  #rest: Buffer = Buffer.alloc(0);
  #bytes: Buffer = this.#rest;
  #at = 0;

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** The rows that are complete with this piece. */
  *read(piece: Buffer): Generator<HistoryRow> {
    this.#bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    this.#at = 0;
    for (;;) {
      const start = this.#at;
      try {
        if (start >= this.#bytes.length) break;
        const row = this.#row();
        yield row;
      } catch (error) {
        if (!(error instanceof Incomplete)) throw error;
        this.#at = start;
        break;
      }
    }
    this.#rest = Buffer.from(this.#bytes.subarray(this.#at));
  }

  /** @throws Error when the last piece ended in the middle of a row. */
  end(): void {
    if (this.#rest.length > 0) throw new Error('history ends in the middle of a row');
  }

  #row(): HistoryRow {
    const customerId = this.#string();
    const name = this.#string();
    const timeMs = this.#int64();
    const source = this.#string();
    const money = this.#byte() === 1;
    const orderId = this.#string();
    const part = this.#uint32();
    const amountMicros = this.#int64();
    const currency = this.#string();
    const coupon = this.#string();
    const lines: Line[] = [];
    for (let n = this.#varint(); n > 0; n--) {
      const [productId, lineName, category] = [this.#string(), this.#string(), this.#string()];
      lines.push({ productId, name: lineName, category, quantity: this.#int64(), priceMicros: this.#int64() });
    }
    const values: string[] = [];
    for (let n = this.#varint(); n > 0; n--) values.push(this.#string());
    const paths = this.#paths;
    const property = (path: string) => {
      const json = values[paths.indexOf(path)] ?? '';
      return json === '' ? NO_SCALARS : scalarsOf(JSON.parse(json));
    };
    const commerce = money ? { orderId, amountMicros, currency, coupon, part, lines } : undefined;
    return { customerId, happening: { name, timeMs: Math.max(timeMs, 0), source, commerce, property } };
  }

  #need(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) throw INCOMPLETE;
    this.#at = at + bytes;
    return at;
  }

  #byte(): number {
    return this.#bytes[this.#need(1)] as number;
  }

  #uint32(): number {
    return this.#bytes.readUInt32LE(this.#need(4));
  }

  #int64(): number {
    const at = this.#need(8);
    return this.#bytes.readInt32LE(at + 4) * 0x1_0000_0000 + this.#bytes.readUInt32LE(at);
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    const length = this.#varint();
    const at = this.#need(length);
    return length === 0 ? '' : this.#bytes.toString('utf8', at, at + length);
  }
}

class Incomplete extends Error {}
const INCOMPLETE = new Incomplete();
