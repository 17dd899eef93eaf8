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
  retryMs: 500,
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

interface Taken {
  readonly blocks: readonly Block[];
  readonly refused: readonly Refused[];
  /** Of the last frame among them. */
  readonly through: number;
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
    this.#paceBefore = this.#pace();
    this.#flushing = this.#flush(this.#take()).finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Everything collected so far. */
  #take(): Taken {
    this.#firstAt = undefined;
    this.#oldest = undefined;
    const refused = this.#builder.refused.splice(0);
    return { through: this.#seen, refused, blocks: this.#builder.take() };
  }

  async #flush(taken: Taken): Promise<void> {
    let { through, blocks } = taken;
    let joined = false;
    await this.#refuse(taken);
    while (!this.#closed && blocks.length > 0) {
      const { failed, untried } = await this.#insertAll(blocks);
      await Promise.all(failed.map((block) => this.#repeat(block)));
      blocks = untried;
      if (joined || this.#closed || untried.length === 0 || !this.#room(untried)) continue;
      // What came while ClickHouse was away goes with what was not tried yet, not into a second round of inserts.
      joined = true;
      const more = this.#take();
      await this.#refuse(more);
      blocks = this.#builder.together(untried, more.blocks);
      through = more.through;
    }
    if (this.#closed) return;
    this.#written = through;
    this.#parts.onWritten?.(through);
    if (this.#parts.now() - this.#offsetAt >= this.#parts.limits.offsetMs)
      await this.#insist(() => this.#writeOffset());
  }

  async #refuse({ refused }: Taken): Promise<void> {
    if (refused.length > 0) await this.#insist(() => this.#parts.refuse(refused));
  }

  /** Whether these and what is collected are within the limits of one insert. */
  #room(blocks: readonly Block[]): boolean {
    const { rows, bytes } = this.#parts.limits;
    const sum = (of: (block: Block) => number) => blocks.reduce((all, block) => all + of(block), 0);
    return (
      sum((block) => block.rows) + this.#builder.rows <= rows &&
      sum((block) => block.data.length) + this.#builder.bytes <= bytes
    );
  }

  /**
   * Several at once, for what one insert waits for is time for another: each is a part of its own table, and tables need not agree.
   * When one fails no other is begun.
   */
  async #insertAll(blocks: readonly Block[]): Promise<{ failed: Block[]; untried: Block[] }> {
    const failed: Block[] = [];
    const untried = [...blocks];
    const inserting = async (): Promise<void> => {
      while (failed.length === 0 && !this.#closed) {
        const block = untried.shift();
        if (block === undefined) return;
        failPoint('analytics', 'before_publish');
        const started = this.#parts.now();
        try {
          await this.#parts.store.insert(block);
        } catch (error) {
          this.#parts.onError(error);
          failed.push(block);
          return;
        }
        this.#inserted(block, this.#parts.now() - started);
        failPoint('analytics', 'after_publish');
      }
    };
    await Promise.all(Array.from({ length: this.#parts.store.insertsAtOnce }, inserting));
    return { failed, untried };
  }

  #inserted(block: Block, ms: number): void {
    this.#parts.onInsert?.(block, ms);
    this.#builder.release(block);
  }

  /**
   * A failed insert may have succeeded all the same: the table says which. It is repeated as it was, so that a cluster, which
   * knows its last blocks, takes no second one for new.
   */
  async #repeat(block: Block): Promise<void> {
    const started = this.#parts.now();
    await this.#pause();
    await this.#insist(async () => {
      if ((await this.#parts.store.positions([block.table])).holds(block)) return;
      await this.#parts.store.insert(block);
    });
    if (!this.#closed) this.#inserted(block, this.#parts.now() - started);
  }

  async #writeOffset(): Promise<void> {
    failPoint('analytics', 'before_commit');
    await this.#parts.store.writeOffset(this.#written);
    this.#offsetAt = this.#parts.now();
    failPoint('analytics', 'after_commit');
  }

  /** Tries until it works or the sink is given up: what waits meanwhile is bounded. */
  async #insist(work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await work();
        return;
      } catch (error) {
        this.#parts.onError(error);
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#parts.limits.retryMs));
  }
}
