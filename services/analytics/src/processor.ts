import { setImmediate } from 'node:timers/promises';
import { failPoint } from '#lib/stream/fail-points.ts';
import { type Block, BlockBuilder, type FrameMessage, type Refused } from './core/batch.ts';
import type { StoredPositions } from './core/stored.ts';

export interface SinkLimits {
  /** A block is inserted when it has so many rows … */
  readonly rows: number;
  /** … or bytes, over all tables … */
  readonly bytes: number;
  /** … or its first row has waited so long, ms; … */
  readonly waitMs: number;
  /**
   * … or so long, ms, while rows keep coming fast: an insert has a fixed cost in every table, so few and large ones leave more
   * of the machine to everybody else.
   */
  readonly busyWaitMs: number;
  /** Rows in `waitMs` from which on that holds, when there were as many in the insert before: one heap of rows is no stream. */
  readonly busyRows: number;
  /** The offset is written at most this often, ms; the tables know better, it only says where to begin reading. */
  readonly offsetMs: number;
  /** Pause before the next try when ClickHouse refuses, ms. */
  readonly retryMs: number;
}

export const SINK_LIMITS: SinkLimits = {
  rows: 200_000,
  bytes: 64 << 20,
  waitMs: 1_000,
  busyWaitMs: 3_000,
  busyRows: 500,
  offsetMs: 2_000,
  retryMs: 250,
};

const BREATH_MS = 4;

/** How long the first and the last of some frames lay in the log, ms. */
export interface Age {
  readonly firstMs: number;
  readonly lastMs: number;
}

const FRESH: Age = { firstMs: 0, lastMs: 0 };

/** What the sink needs of ClickHouse. */
export interface SinkStore {
  /** How far each table, or these, have got. */
  positions(tables?: readonly string[]): Promise<StoredPositions>;
  /** Everything up to this sequence of the log is in the tables; 0 when nothing was written yet. */
  offset(): Promise<number>;
  writeOffset(throughSeq: number): Promise<void>;
  /** Inserts worth having under way at once. */
  readonly insertsAtOnce: number;
  /** All rows of the block or none; after an error it is unknown which. */
  insert(block: Block): Promise<void>;
}

export interface SinkParts {
  readonly store: SinkStore;
  readonly limits: SinkLimits;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Keeps a record that cannot become a row; resolves when it is safe. */
  readonly refuse: (records: readonly Refused[]) => Promise<void>;
  readonly onInsert?: (block: Block, ms: number) => void;
  /** Everything up to this sequence is in the tables. */
  readonly onWritten?: (throughSeq: number) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * The way of a record into ClickHouse: frames in log order → rows per table and month → one insert each → offset.
 *
 * Every row carries its place in the log, and one insert is one part, whole or not at all. So a table itself says what it
 * has, and whatever the moment of a crash, reading on from any earlier frame adds what is missing and nothing else.
 *
 * While blocks are being inserted the next ones are collected, no further than the limits: then `accept` waits, and with
 * it the reading of the log.
 */
export class Sink {
  readonly #parts: SinkParts;
  readonly #builder: BlockBuilder;
  #seen: number;
  #written: number;
  /** When the first of the rows not inserted was taken, and when it was stored in the log. */
  #firstAt: number | undefined;
  #oldest: number | undefined;
  /** `#pace` at the insert before. */
  #paceBefore = 0;
  #offsetAt: number;
  #flushing: Promise<void> | undefined;
  #closed = false;

  private constructor(parts: SinkParts, builder: BlockBuilder, through: number) {
    this.#parts = parts;
    this.#builder = builder;
    this.#seen = through;
    this.#written = through;
    this.#offsetAt = parts.now();
  }

  /** Reads from the tables how far they got. */
  static async open(parts: SinkParts): Promise<Sink> {
    const [stored, through] = [await parts.store.positions(), await parts.store.offset()];
    return new Sink(parts, new BlockBuilder(stored), through);
  }

  /** The first sequence to read. */
  get fromSeq(): number {
    return this.#seen + 1;
  }

  /** Everything up to this sequence is in the tables. */
  get throughSeq(): number {
    return this.#written;
  }

  /**
   * Takes frames, which come in log order, or none when the log is quiet; waits while the one before is being inserted and the
   * limits are reached.
   */
  async accept(frames: readonly FrameMessage[], age: Age = FRESH): Promise<void> {
    let breathed = this.#parts.now();
    for (const frame of frames) {
      if (frame.seq <= this.#seen) continue;
      this.#builder.add(frame);
      this.#seen = frame.seq;
      // An insert under way must not wait long for its turns on the event loop, nor anybody else.
      if (this.#parts.now() - breathed < BREATH_MS) continue;
      await setImmediate();
      breathed = this.#parts.now();
    }
    if (this.#builder.rows > 0) {
      this.#firstAt ??= this.#parts.now();
      this.#oldest ??= this.#parts.now() - age.firstMs;
    }
    if (this.#full()) {
      await this.#flushing;
      this.#startFlush();
    } else this.#tick(frames.length === 0, age.lastMs < this.#parts.limits.waitMs);
  }

  /**
   * Inserts what has waited long enough, here or in the log. What lay in the log counts only once all of it was read: a sink that
   * comes back makes one insert of it.
   */
  #tick(quiet: boolean, caughtUp: boolean): void {
    if (this.#flushing !== undefined) return;
    const { now, limits } = this.#parts;
    const { rows } = this.#builder;
    const busy = !quiet && Math.min(this.#pace(), this.#paceBefore) >= limits.busyRows;
    const wait = busy ? limits.busyWaitMs : limits.waitMs;
    const since = caughtUp ? this.#oldest : this.#firstAt;
    const waited = rows > 0 && since !== undefined && now() - since >= wait;
    // Frames without rows: the offset goes on all the same.
    const behind = rows === 0 && this.#seen > this.#written && now() - this.#offsetAt >= limits.offsetMs;
    if (waited || behind) this.#startFlush();
  }

  /** Inserts everything taken so far and writes the offset. */
  async drain(): Promise<void> {
    await this.#flushing;
    this.#startFlush();
    await this.#flushing;
    if (!this.#closed) await this.#writeOffset();
  }

  /** No further insert is begun; resolves when none is under way. */
  async abandon(): Promise<void> {
    this.#closed = true;
    await this.#flushing;
  }

  /** Rows in `waitMs`, as they have come since the first of those not inserted: an insert that took long does not make them more. */
  #pace(): number {
    const { now, limits } = this.#parts;
    const ms = this.#firstAt === undefined ? 0 : now() - this.#firstAt;
    return (this.#builder.rows * limits.waitMs) / Math.max(limits.waitMs, ms);
  }

  #full(): boolean {
    const { rows, bytes } = this.#parts.limits;
    return this.#builder.rows >= rows || this.#builder.bytes >= bytes;
  }

  #startFlush(): void {
    const through = this.#seen;
    this.#paceBefore = this.#pace();
    const refused = this.#builder.refused.splice(0);
    const blocks = this.#builder.take();
    this.#firstAt = undefined;
    this.#oldest = undefined;
    this.#flushing = this.#flush(blocks, refused, through).finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flush(blocks: Block[], refused: Refused[], through: number): Promise<void> {
    if (refused.length > 0) await this.#insist(() => this.#parts.refuse(refused));
    // What one insert waits for is time for another: each is a part of its own table, and the tables need not agree.
    const left = blocks.values();
    await Promise.all(Array.from({ length: this.#parts.store.insertsAtOnce }, () => this.#insertAll(left)));
    if (this.#closed) return;
    this.#written = through;
    this.#parts.onWritten?.(through);
    if (this.#parts.now() - this.#offsetAt >= this.#parts.limits.offsetMs)
      await this.#insist(() => this.#writeOffset());
  }

  async #insertAll(blocks: Iterable<Block>): Promise<void> {
    for (const block of blocks) {
      if (this.#closed) return;
      failPoint('analytics', 'before_publish');
      await this.#insert(block);
      this.#builder.release(block);
      failPoint('analytics', 'after_publish');
    }
  }

  async #writeOffset(): Promise<void> {
    failPoint('analytics', 'before_commit');
    await this.#parts.store.writeOffset(this.#written);
    this.#offsetAt = this.#parts.now();
    failPoint('analytics', 'after_commit');
  }

  /** A failed insert may have succeeded all the same: the table says which. */
  async #insert(block: Block): Promise<void> {
    const started = this.#parts.now();
    let failed = false;
    await this.#insist(async () => {
      if (failed && (await this.#parts.store.positions([block.table])).holds(block)) return;
      failed = true;
      await this.#parts.store.insert(block);
    });
    this.#parts.onInsert?.(block, this.#parts.now() - started);
  }

  /** Tries until it works or the sink is given up: what waits meanwhile is bounded. */
  async #insist(work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await work();
        return;
      } catch (error) {
        this.#parts.onError(error);
        await new Promise((resolve) => setTimeout(resolve, this.#parts.limits.retryMs));
      }
    }
  }
}
