import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { clusterOf } from '#lib/boot/streams.ts';
import type { Until } from '#lib/stream/join.ts';
import { layoutKey, NEWEST } from '#lib/stream/layout.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { decodeEntry, encodeEntry } from '#lib/stream/states.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { type Compared, compare, customersOf, type Difference, repair, type Sides } from './compare.ts';
import { Fold, type Unsaid } from './fold.ts';
import { Hold } from './hold.ts';

export interface RebuildParts {
  readonly nats: NatsConnection;
  readonly live: Redis;
  /** Where the fold goes: keys there under the stage's names are deleted before and after. */
  readonly scratch: Redis;
  readonly logger: Logger;
  readonly progress: (text: string) => void;
  /** Write what the fold gives where it is not what is live. */
  readonly repair: boolean;
}

export interface Rebuilt {
  readonly partition: number;
  /** Frame up to which both were compared. */
  readonly seq: number;
  readonly states: number;
  readonly timers: number;
  readonly differences: readonly Difference[];
  readonly unsaid: readonly Unsaid[];
  readonly repaired: number;
  /** How long the partition stood, ms. */
  readonly heldMs: number;
}

/** Looks at a partition that stands in the middle of something are repeated. */
const LOOKS = 5;
const BETWEEN_LOOKS_MS = 500;
/** A partition is held once what is to be folded took less than this the last time. */
const NEAR_MS = 1_000;
const CATCH_UPS = 20;

export class RebuildError extends Error {}

/** Folds partitions of a stage anew and compares what comes out, key by key, with what is live. */
export async function* rebuildStage<S, D>(
  spec: StageSpec<S, D>,
  parts: RebuildParts,
  wanted: readonly number[] = [],
): AsyncGenerator<Rebuilt> {
  const { nats, scratch, logger } = parts;
  const { partitions, clock, firstSeq, layouts } = await clusterOf(await jetstreamManager(nats));
  const bad = wanted.find((p) => p >= partitions);
  if (bad !== undefined) throw new RebuildError(`There is no partition ${bad}: there are ${partitions}, from 0.`);
  if (firstSeq > 1)
    throw new RebuildError(
      `${STREAMS.log.name} begins at ${firstSeq}: what is older is gone from it, and state cannot be folded from history in ClickHouse.`,
    );
  if (layouts.length > 1)
    throw new RebuildError(
      `the cluster had ${layouts.slice(0, -1).join(', ')} partitions before: what is in ${STREAMS.log.name} of that time does not fold into those of now.`,
    );
  for (const partition of wanted.length > 0 ? wanted : Array.from({ length: partitions }, (_, p) => p)) {
    const fold = new Fold(spec, { nats, scratch, partitions, clock, logger });
    yield await new PartitionRebuild(spec, parts, fold, partition).run();
  }
}

class PartitionRebuild<S, D> {
  readonly #parts: RebuildParts;
  readonly #fold: Fold<S, D>;
  readonly #partition: number;
  readonly #tag: string;
  readonly #sides: Sides;

  constructor(spec: StageSpec<S, D>, parts: RebuildParts, fold: Fold<S, D>, partition: number) {
    const { live, scratch } = parts;
    const { stage, processor, codec } = spec;
    const anew = (bytes: Buffer) => Buffer.from(encodeEntry(decodeEntry(bytes, codec), codec, NEWEST));
    this.#parts = parts;
    this.#fold = fold;
    this.#partition = partition;
    this.#tag = stageTag(stage, partition);
    this.#sides = { live, scratch, stage, partition, indexed: processor.sweep !== undefined, anew };
  }

  async run(): Promise<Rebuilt> {
    await cleanScratch(this.#parts.scratch, this.#tag);
    try {
      await this.#begin();
      await this.#catchUp();
      for (let look = 1; ; look++) {
        const found = await this.#look(look > 1);
        // Between two commits of one moment's timers no place in the log says where a partition stands: what is different must be
        // so at a second look.
        if (found.differences.length === 0 || look === LOOKS || (look > 1 && !found.between)) {
          const { between: _, ...rebuilt } = found;
          return { ...rebuilt, partition: this.#partition, unsaid: this.#fold.unsaid };
        }
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
      }
    } finally {
      await cleanScratch(this.#parts.scratch, this.#tag);
    }
  }

  /** The fold has the layout that is live. */
  async #begin(): Promise<void> {
    const { live, scratch } = this.#parts;
    const layout = await live.get(layoutKey(this.#tag));
    if (layout !== null) await scratch.set(layoutKey(this.#tag), layout);
  }

  /** Until what is left takes no time. */
  async #catchUp(): Promise<void> {
    const { progress } = this.#parts;
    for (let round = 0; round < CATCH_UPS; round++) {
      const to = await this.#livePosition();
      progress(`${this.#tag}: folding the log up to ${to.seq}`);
      const started = Date.now();
      await this.#fold.to(this.#partition, to);
      if (Date.now() - started < NEAR_MS) return;
    }
  }

  async #look(sure: boolean): Promise<Omit<Rebuilt, 'partition' | 'unsaid'> & { between: boolean }> {
    const { live, scratch, progress } = this.#parts;
    const { stage } = this.#sides;
    const known = await customersOf(live, stage, this.#partition);
    const started = Date.now();
    const hold = await Hold.take(live, stage, this.#partition);
    try {
      const to = await this.#livePosition();
      if (to.stored !== (await scratch.get(`${this.#tag}:position`))) await this.#fold.to(this.#partition, to);
      const compared = await compare(this.#sides, known);
      await hold.check();
      const between = to.steps > 0 || to.emitted > 0;
      const repaired = between || !sure ? 0 : await this.#repair(compared, hold, known);
      const { states, timers, differences } = compared;
      const heldMs = Date.now() - started;
      progress(`${this.#tag}: ${states} states and ${timers} timers compared at ${to.seq}, held for ${heldMs} ms`);
      return { seq: to.seq, states, timers, differences, repaired, heldMs, between };
    } finally {
      await hold.release();
    }
  }

  async #repair({ differences }: Compared, hold: Hold, known: readonly string[]): Promise<number> {
    if (!this.#parts.repair || differences.length === 0) return 0;
    await repair(this.#sides, hold.token, differences);
    const left = (await compare(this.#sides, known)).differences;
    if (left.length > 0) throw new RebuildError(`${this.#tag}: ${left.length} differences are left after the repair.`);
    return differences.length;
  }

  async #livePosition(): Promise<Until & { emitted: number; stored: string }> {
    const stored = await this.#parts.live.get(`${this.#tag}:position`);
    if (stored === null)
      throw new RebuildError(`${this.#tag} has no position in Redis: the stage has not begun, or folds it itself now.`);
    return { ...(JSON.parse(stored) as Until & { emitted: number }), stored };
  }
}

/** Deletes what a fold left, or an earlier one that was broken off. */
export async function cleanScratch(scratch: Redis, tag: string): Promise<void> {
  const prefix = scratch.options.keyPrefix ?? '';
  const bare = scratch.duplicate({ keyPrefix: '' });
  try {
    for (let cursor = '0'; ; ) {
      const [next, keys] = await bare.scanBuffer(cursor, 'MATCH', `${prefix}${tag}:*`, 'COUNT', 5_000);
      if (keys.length > 0) await bare.unlink(...keys);
      cursor = next.toString();
      if (cursor === '0') return;
    }
  } finally {
    bare.disconnect();
  }
}
