import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { beginRepartition, clusterOf, finishRepartition } from '#lib/boot/streams.ts';
import type { Position } from '#lib/stream/batch.ts';
import { dropPartition, storedCustomers, storedTimers, unindex } from '#lib/stream/partition-contents.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { splitTimerKey } from '#lib/stream/timers.ts';
import { type KeyedStageName, partitionOf, STREAMS } from '#lib/topology/topology.ts';
import { type Sums, sumsOf } from './contents.ts';
import { type AllLoaded, KEYED, type Loaded, openWork } from './drained.ts';
import { Partitions } from './partitions.ts';

export const MOST_PARTITIONS = 256;
const TIMERS = 1_000;
/** How long Redis may take until what was written is on its disk. */
const SYNC_MS = 10_000;
const UNASKED_MS = 2_500;

/** It cannot be done as things are; nothing was changed. */
export class RepartitionError extends Error {}

export interface RepartitionParts {
  readonly nats: NatsConnection;
  readonly redis: Redis;
  /** Partitions there are to be. */
  readonly to: number;
  readonly progress: (text: string) => void;
  /** Called before each step that changes something, so that a test can end there. */
  readonly onStep?: (step: string) => void;
}

export interface Repartitioned {
  readonly from: number;
  readonly to: number;
  /** Everything of LOG up to here lies in the partitions there were. */
  readonly seq: number;
  /** What there is, the same before and after. */
  readonly sums: Sums;
  /** Customers of each stage whose partition is another one. */
  readonly moved: Record<string, number>;
}

export interface Outlook {
  readonly from: number;
  readonly to: number;
  /** What has to be worked off first; services do that by themselves once identity adds nothing. */
  readonly open: readonly string[];
  /** Customers of each stage whose partition is another one. */
  readonly moved: Record<string, number>;
}

/** Written into the metadata of LOG before anything moves: whoever goes on after a crash needs what was true at the beginning. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  /** Where each stage's clock stands, ms. */
  readonly clocks: Record<string, number>;
  readonly sums: Sums;
}

/**
 * Gives a cluster another number of partitions. No service may run but ingest, and all that is in LOG must be worked off: then a
 * customer is its state and its timers, and these go to where its id belongs. New records are read from the present end of LOG on.
 * It can be ended at any moment; called again with the same number it goes on.
 */
export async function repartition(parts: RepartitionParts): Promise<Repartitioned> {
  const { redis, to, progress } = parts;
  const { manager, from, begun } = await whereItStands(parts);
  const partitions = await Partitions.take(redis, Math.max(from, to));
  try {
    const loaded = await partitions.load();
    if (begun !== undefined) await goOn(manager, begun, progress);
    const plan = begun ?? (await planOf(parts, manager, partitions, { from, loaded }));
    if (begun === undefined) {
      parts.onStep?.('begin');
      await beginRepartition(manager, JSON.stringify(plan));
    }
    const moved = await new Move(parts, partitions, plan, definitionsOf(loaded)).all();
    await check(redis, partitions, plan);
    await onDisk(redis);
    parts.onStep?.('finish');
    await finishRepartition(manager, to);
    return { ...plan, moved };
  } finally {
    await partitions.release();
  }
}

/** What a change would do and what stands against it, while everything runs. Changes nothing. */
export async function outlook(parts: Pick<RepartitionParts, 'nats' | 'redis' | 'to'>): Promise<Outlook> {
  const { redis, to } = parts;
  const { manager, from, begun } = await whereItStands(parts);
  const moved = new Map(KEYED.map((stage) => [stage, new Set<string>()]));
  for await (const { stage, partition, customerIds } of storedCustomers(redis))
    for (const id of customerIds) if (partitionOf(id, to) !== partition) moved.get(stage)?.add(id);
  const open = begun === undefined ? await openNow(manager, redis, from) : [];
  return { from, to, open, moved: Object.fromEntries([...moved].map(([stage, { size }]) => [stage, size])) };
}

async function openNow(manager: JetStreamManager, redis: Redis, from: number): Promise<string[]> {
  const partitions = Partitions.look(redis, from);
  // In this order: what is read later may only be further than what it is held against.
  const laneSeq = await partitions.laneSeq();
  return openWork({ manager, partitions: from, laneSeq }, await partitions.load());
}

/** @throws RepartitionError when it cannot be asked for */
async function whereItStands({ nats, to }: Pick<RepartitionParts, 'nats' | 'to'>) {
  if (!Number.isInteger(to) || to < 1 || to > MOST_PARTITIONS)
    throw new RepartitionError(`${to} partitions: must be a whole number from 1 to ${MOST_PARTITIONS}`);
  const manager = await jetstreamManager(nats);
  const { partitions: from, change } = await clusterOf(manager);
  const begun = change === undefined ? undefined : (JSON.parse(change) as Change);
  if (begun !== undefined && begun.to !== to)
    throw new RepartitionError(`a change to ${begun.to} partitions was begun: let it finish first`);
  if (begun === undefined && from === to) throw new RepartitionError(`there are ${to} partitions already`);
  return { manager, from, begun };
}

async function planOf(
  { redis, to, progress }: RepartitionParts,
  manager: JetStreamManager,
  partitions: Partitions,
  { from, loaded }: { from: number; loaded: AllLoaded },
): Promise<Change> {
  const open = await openWork({ manager, partitions: from, laneSeq: await partitions.laneSeq() }, loaded);
  if (open.length > 0)
    throw new RepartitionError(
      `not everything is worked off: ${open.slice(0, 5).join('; ')}${open.length > 5 ? ` and ${open.length - 5} more` : ''}. ` +
        'Start all services but identity, wait, and end them again',
    );
  const { state } = await manager.streams.info(STREAMS.log.name);
  const clocks = Object.fromEntries(
    KEYED.map((stage) => [stage, Math.max(...ofStage(stage, from, loaded).map(({ position }) => position.clock))]),
  );
  progress('counting states and timers');
  return { from, to, seq: state.last_seq, clocks, sums: await sumsOf(redis, partitions, from) };
}

async function goOn(
  manager: JetStreamManager,
  { from, to, seq }: Change,
  progress: (text: string) => void,
): Promise<void> {
  progress(`going on with the change from ${from} to ${to} partitions`);
  const { state } = await manager.streams.info(STREAMS.log.name);
  if (state.last_seq !== seq)
    throw new RepartitionError(
      `${STREAMS.log.name} has grown from ${seq} to ${state.last_seq} since it began: a service of an older build ran`,
    );
}

const ofStage = (stage: KeyedStageName, partitions: number, loaded: AllLoaded): Loaded[] =>
  Array.from({ length: partitions }, (_, p) => loaded.get(`${stage}.${p}`) as Loaded);

/** The same in every partition that has any. */
const definitionsOf = (loaded: AllLoaded): ReadonlyMap<string, readonly ActiveDefinition[]> =>
  new Map(
    KEYED.map((stage) => {
      const all = [...loaded].filter(([at]) => at.startsWith(`${stage}.`)).map(([, { definitions }]) => definitions);
      return [stage, all.reduce((most, each) => (each.length > most.length ? each : most), [])];
    }),
  );

/** Every key must be there as it was, where its hash says. */
async function check(redis: Redis, partitions: Partitions, { sums, to }: Change): Promise<void> {
  const now = await sumsOf(redis, partitions, to);
  for (const stage of KEYED) {
    const [had, has] = [sums[stage], now[stage]];
    if (JSON.stringify(had) !== JSON.stringify(has))
      throw new Error(`${stage} had ${JSON.stringify(had)} and has ${JSON.stringify(has)}: restore the backup`);
  }
}

/** A Redis that loses its last second after LOG says that all is moved would look like customers without a state. */
async function onDisk(redis: Redis): Promise<void> {
  const [, mode] = (await redis.config('GET', 'appendonly')) as [string, string];
  if (mode !== 'yes') return;
  try {
    const [local] = (await redis.call('WAITAOF', 1, 0, SYNC_MS)) as [number, number];
    if (local < 1)
      throw new RepartitionError(`Redis has not written everything to its disk within ${SYNC_MS} ms: try again`);
  } catch (error) {
    // Before 7.2 nobody can ask; it writes every second.
    if (!String(error).includes('unknown command')) throw error;
    await sleep(UNASKED_MS);
  }
}

class Move {
  readonly #parts: RepartitionParts;
  readonly #partitions: Partitions;
  readonly #plan: Change;
  readonly #definitions: ReadonlyMap<string, readonly ActiveDefinition[]>;

  constructor(
    parts: RepartitionParts,
    partitions: Partitions,
    plan: Change,
    definitions: ReadonlyMap<string, readonly ActiveDefinition[]>,
  ) {
    this.#parts = parts;
    this.#partitions = partitions;
    this.#plan = plan;
    this.#definitions = definitions;
  }

  async all(): Promise<Record<string, number>> {
    const { from, to } = this.#plan;
    const moved: Record<string, number> = {};
    for await (const { stage, partition, customerIds } of storedCustomers(this.#parts.redis)) {
      for (const [dest, ids] of Map.groupBy(customerIds, (id) => partitionOf(id, to)))
        if (dest !== partition) moved[stage] = (moved[stage] ?? 0) + (await this.#states(stage, partition, dest, ids));
    }
    for (const stage of KEYED) {
      this.#parts.progress(`${stage}: ${moved[stage] ?? 0} states moved`);
      for (let p = 0; p < this.#partitions.count; p++) await this.#timers(stage, p);
      for (let p = 0; p < to; p++) await this.#place(stage, p);
      for (let p = to; p < from; p++) await dropPartition(this.#parts.redis, stage, p);
    }
    return Object.fromEntries(KEYED.map((stage) => [stage, moved[stage] ?? 0]));
  }

  /** There first, then not here any more: in between it is in both, and copied once more by whoever goes on. */
  async #states(stage: KeyedStageName, source: number, dest: number, ids: readonly string[]): Promise<number> {
    const from = this.#partitions.store(stage, source);
    const found = (await from.states(ids)).flatMap((bytes, i) =>
      bytes ? [{ customerId: ids[i] as string, bytes }] : [],
    );
    if (found.length === 0) return 0;
    this.#parts.onStep?.(`copy ${stage}`);
    await this.#write(
      stage,
      dest,
      found.map((each) => ({ ...each, fresh: true })),
    );
    this.#parts.onStep?.(`delete ${stage}`);
    const gone = found.map(({ customerId }) => ({ customerId, bytes: new Uint8Array(0), fresh: false }));
    await this.#write(stage, source, gone);
    await unindex(
      this.#parts.redis,
      stage,
      source,
      gone.map(({ customerId }) => customerId),
    );
    return found.length;
  }

  async #timers(stage: KeyedStageName, partition: number): Promise<void> {
    const { to } = this.#plan;
    const strange = (await storedTimers(this.#parts.redis, stage, partition)).filter(
      ({ key }) => partitionOf(splitTimerKey(key).customerId, to) !== partition,
    );
    for (const [dest, timers] of Map.groupBy(strange, ({ key }) => partitionOf(splitTimerKey(key).customerId, to))) {
      for (let i = 0; i < timers.length; i += TIMERS) {
        const page = timers.slice(i, i + TIMERS);
        this.#parts.onStep?.(`timers ${stage}`);
        await this.#write(stage, dest, [], new Map(page.map(({ key, due }) => [key, due])));
        await this.#write(stage, partition, [], new Map(page.map(({ key }) => [key, null])));
      }
    }
  }

  /** Where it goes on: after all there is, with the definitions everybody has. */
  async #place(stage: KeyedStageName, partition: number): Promise<void> {
    await this.#write(stage, partition, [], new Map(), this.#definitions.get(stage) ?? []);
  }

  async #write(
    stage: KeyedStageName,
    partition: number,
    states: Parameters<ReturnType<Partitions['store']>['commit']>[1],
    timers: ReadonlyMap<string, number | null> = new Map(),
    definitions: readonly ActiveDefinition[] = [],
  ): Promise<void> {
    const { seq, clocks } = this.#plan;
    const position: Position = { seq, steps: 0, emitted: 0, clock: clocks[stage] ?? 0 };
    const commit = { position, timers, definitions: [...definitions], pending: new Map(), sweeps: [] };
    await this.#partitions.store(stage, partition).commit(commit, states);
  }
}
