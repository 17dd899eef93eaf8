import type { Redis } from 'ioredis';
import { DAY_MS } from '../core/seen.ts';
import { RULES_KEY } from '../processor-control.ts';
import { decodeNode, encodeNode, GENERATION_SECONDS, OUTCOME, OUTCOME_SECONDS } from '../store/graph-store.ts';
import { idsIn, seenBucket } from './message-ids.ts';

export const KINDS = ['position', 'types', 'identifier', 'customer', 'message_id', 'outcome'] as const;
export type Kind = (typeof KINDS)[number];

/** One thing that is not the same. `have` is what is live, `want` what the fold gives; null where there is none. */
export interface Difference {
  readonly kind: Kind;
  /** Behind the lane's tag. */
  readonly key: Buffer;
  /** Of a bucket of message ids. */
  readonly id: Buffer | undefined;
  readonly have: Buffer | null;
  readonly want: Buffer | null;
  /** How long it is kept when it is written; 0: for good. */
  readonly seconds: number;
}

export interface Sides {
  readonly live: Redis;
  /** Without a key prefix. */
  readonly scratch: Redis;
  readonly liveTag: string;
  readonly scratchTag: string;
  /** Last frame of the lane in both, and the day it was stored. */
  readonly seq: number;
  readonly day: number;
  /** When the command came that an outcome is of, ms; 0: not known. */
  readonly commandAt: (key: string) => number;
}

export type Counts = Record<Kind, number>;

export interface Compared {
  /** Looked at, by kind. */
  readonly keys: Counts;
  readonly byKind: Counts;
  /** At most MOST of them. */
  readonly differences: readonly Difference[];
}

/** Of differences kept: whoever has more repairs in several rounds. */
export const MOST = 100_000;
const PAGE = 1_000;
/** An outcome that ends within this time may be gone. */
const ENDING_MS = 600_000;
const PREFIXES: Readonly<Record<string, Kind>> = { ':i:': 'identifier', ':n:': 'customer', [OUTCOME]: 'outcome' };

export const noCounts = (): Counts => Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Counts;

/** Looks at every key of the lane on both sides. */
export class Comparison {
  readonly #sides: Sides;
  readonly #keys = noCounts();
  readonly #byKind = noCounts();
  readonly #differences: Difference[] = [];

  constructor(sides: Sides) {
    this.#sides = sides;
  }

  async run(): Promise<Compared> {
    const { live, scratch, liveTag, scratchTag } = this.#sides;
    await this.#values('position', [Buffer.from(':position')]);
    await this.#values('types', [Buffer.from(RULES_KEY)]);
    for (const [prefix, kind] of Object.entries(PREFIXES)) {
      for await (const page of keysOf(scratch, scratchTag, prefix)) await this.#values(kind, page);
      for await (const page of keysOf(live, liveTag, prefix)) await this.#values(kind, await this.#unknown(page));
    }
    for await (const page of keysOf(scratch, scratchTag, ':seen:')) await this.#missingIds(page);
    for await (const page of keysOf(live, liveTag, ':seen:')) await this.#extraIds(page);
    return { keys: this.#keys, byKind: this.#byKind, differences: this.#differences };
  }

  /** Of live keys those the fold does not have. */
  async #unknown(keys: readonly Buffer[]): Promise<Buffer[]> {
    const { scratch, scratchTag } = this.#sides;
    const found = await scratch.mgetBuffer(...keys.map((key) => at(scratchTag, key)));
    return keys.filter((_, i) => !found[i]);
  }

  async #values(kind: Kind, keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    const { live, scratch, liveTag, scratchTag } = this.#sides;
    const [ours, theirs] = await Promise.all([
      live.mgetBuffer(...keys.map((key) => at(liveTag, key))),
      scratch.mgetBuffer(...keys.map((key) => at(scratchTag, key))),
    ]);
    keys.forEach((key, i) => {
      const [have = null, want = null] = [ours[i], theirs[i]];
      if (have !== null || want !== null) this.#keys[kind]++;
      if (same(kind, have, want)) return;
      const left = kind === 'outcome' && want ? this.#left(key) : 0;
      // It may have ended.
      if (kind === 'outcome' && want && (left <= 0 || (have === null && left < ENDING_MS))) return;
      this.#put({ kind, key, id: undefined, have, want, seconds: Math.ceil(left / 1000) });
    });
  }

  /** How long an outcome is still to be kept, ms. */
  #left(key: Buffer): number {
    return this.#sides.commandAt(key.toString()) + OUTCOME_SECONDS * 1000 - Date.now();
  }

  /** Whether ids of that day still mean something, and can be there: they end two days after they came. */
  #counts(day: number): boolean {
    return day >= this.#sides.day - 1 && day >= Math.floor(Date.now() / DAY_MS) - 1;
  }

  /** The fold has each id under its own day; the live lane may have it under the next, when its batch went on past midnight. */
  async #missingIds(keys: readonly Buffer[]): Promise<void> {
    const { live, scratch, liveTag, scratchTag } = this.#sides;
    const buckets = keys.map(seenBucket).filter(({ day }) => this.#counts(day));
    const [ours, theirs] = [await idsIn(live, liveTag, buckets), await idsIn(scratch, scratchTag, buckets)];
    const next = buckets.map(({ day, slot }) => seenBucket.of(day + 1, slot));
    const later = await idsIn(live, liveTag, next);
    buckets.forEach((bucket, i) => {
      for (const [id, seq] of theirs[i] ?? []) {
        this.#keys.message_id++;
        const have = ours[i]?.get(id);
        if (have === seq || (have === undefined && later[i]?.get(id) === seq)) continue;
        this.#putId(bucket.key, id, have, seq);
      }
    });
  }

  async #extraIds(keys: readonly Buffer[]): Promise<void> {
    const { live, scratch, liveTag, scratchTag, seq: until } = this.#sides;
    const buckets = keys.map(seenBucket).filter(({ day }) => this.#counts(day));
    const before = buckets.map(({ day, slot }) => seenBucket.of(day - 1, slot));
    const ours = await idsIn(live, liveTag, buckets);
    const theirs = await idsIn(scratch, scratchTag, buckets);
    const earlier = await idsIn(scratch, scratchTag, before);
    buckets.forEach((bucket, i) => {
      for (const [id, seq] of ours[i] ?? []) {
        // Found before; or taken for a frame that is not committed, which will find it its own.
        if (theirs[i]?.has(id) || Number(seq) > until || earlier[i]?.get(id) === seq) continue;
        this.#keys.message_id++;
        this.#putId(bucket.key, id, seq, undefined);
      }
    });
  }

  #putId(key: Buffer, id: string, have: string | undefined, want: string | undefined): void {
    const bytes = (seq: string | undefined) => (seq === undefined ? null : Buffer.from(seq));
    const difference = { key, id: Buffer.from(id, 'latin1'), have: bytes(have), want: bytes(want) };
    this.#put({ kind: 'message_id', ...difference, seconds: want === undefined ? 0 : GENERATION_SECONDS });
  }

  #put(difference: Difference): void {
    this.#byKind[difference.kind]++;
    if (this.#differences.length < MOST) this.#differences.push(difference);
  }
}

const at = (tag: string, key: Buffer): Buffer => Buffer.concat([Buffer.from(tag), key]);

/** Pages of keys that begin so, without the tag. */
async function* keysOf(redis: Redis, tag: string, prefix: string): AsyncGenerator<Buffer[]> {
  const skip = Buffer.byteLength(tag);
  for (let cursor = '0'; ; ) {
    const [next, found] = await redis.scanBuffer(cursor, 'MATCH', `${tag}${prefix}*`, 'COUNT', 5_000);
    for (let i = 0; i < found.length; i += PAGE) yield found.slice(i, i + PAGE).map((key) => key.subarray(skip));
    cursor = next.toString();
    if (cursor === '0') return;
  }
}

/** An identifier that is nobody's may be there without an owner; a customer by an earlier version may have other bytes. */
function same(kind: Kind, a: Buffer | null, b: Buffer | null): boolean {
  if (kind === 'identifier') return (a ?? Buffer.alloc(0)).equals(b ?? Buffer.alloc(0));
  if (a === null || b === null) return a === b;
  return a.equals(b) || (kind === 'customer' && anew(a)?.equals(anew(b) ?? a) === true);
}

function anew(bytes: Buffer): Buffer | undefined {
  try {
    return encodeNode(decodeNode('', bytes));
  } catch {
    // It cannot be read.
    return undefined;
  }
}
