import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { partitionOf } from '#lib/topology/topology.ts';
import { findStates, statesAfter } from './buckets.ts';
import { stageTag } from './partition-store.ts';
import type { Codec } from './processor.ts';
import { decodeEntry } from './states.ts';

/** Merges a read follows before it gives up. */
const MAX_HOPS = 16;

/** Reads a stage's committed states, from any replica, without owning anything. */
export class StateReader<S> {
  private readonly stage: string;
  private readonly codec: Codec<S>;
  private readonly redis: Redis;
  private readonly partitions: number;
  /** In this turn of the event loop, by partition. */
  private readonly asked: (Asked | undefined)[];

  constructor(stage: string, codec: Codec<S>, redis: Redis, partitions: number) {
    this.stage = stage;
    this.codec = codec;
    this.redis = redis;
    this.partitions = partitions;
    this.asked = Array.from({ length: partitions }, () => undefined);
  }

  /** State of a customer; for one that was merged, of the one it was merged into. */
  async get(customerId: string): Promise<{ customerId: string; state: S } | undefined> {
    return (await this.getMany([customerId]))[0];
  }

  /**
   * In the order asked for; undefined for customers without a state. One round trip, and one more per merge, shared with all who
   * ask in the same turn of the event loop.
   */
  async getMany(customerIds: readonly string[]): Promise<({ customerId: string; state: S } | undefined)[]> {
    const at = [...customerIds];
    const result: ({ customerId: string; state: S } | undefined)[] = at.map(() => undefined);
    let open = at.map((_, i) => i);
    for (let hop = 0; hop < MAX_HOPS && open.length > 0; hop++) {
      const found = await this.find(open.map((i) => at[i] as string));
      const again: number[] = [];
      open.forEach((i, n) => {
        const { state, mergedInto } = decodeEntry(found[n], this.codec);
        if (mergedInto !== undefined) {
          at[i] = mergedInto;
          again.push(i);
        } else if (state !== undefined) result[i] = { customerId: at[i] as string, state };
      });
      open = again;
    }
    return result;
  }

  /**
   * Walks the customers of a partition of a stage that sweeps, in order of id: `cursor` is the last id of the page before;
   * '0' starts, and what comes back is '0' at the end.
   */
  async scan(partition: number, cursor: string, limit: number): Promise<ScanPage<S>> {
    const tag = stageTag(this.stage, partition);
    const found = await statesAfter(this.redis, tag, cursor === '0' ? '' : cursor, limit);
    const customers: { customerId: string; state: S }[] = [];
    for (const { customerId, bytes } of found) {
      const { state } = decodeEntry(bytes, this.codec);
      if (state !== undefined) customers.push({ customerId, state });
    }
    return { cursor: found.length < limit ? '0' : (found.at(-1)?.customerId ?? '0'), customers };
  }

  /**
   * Where the clock of the customer's partition stands, milliseconds since 1970; 0 before its first record. On the event
   * clock this is "now" for reads.
   */
  clock(customerId: string): Promise<number> {
    return this.partitionClock(partitionOf(customerId, this.partitions));
  }

  async partitionClock(partition: number): Promise<number> {
    const tag = stageTag(this.stage, partition);
    const position = await this.redis.get(`${tag}:position`);
    return position ? (JSON.parse(position) as { clock: number }).clock : 0;
  }

  /** All partitions at once. */
  private async find(customerIds: readonly string[]): Promise<(Buffer | null | undefined)[]> {
    const places = customerIds.map((id) => {
      const asked = this.askFor(partitionOf(id, this.partitions));
      return { asked, at: asked.ids.push(id) - 1 };
    });
    await Promise.all(places.map(({ asked }) => asked.answered));
    return places.map(({ asked, at }) => asked.states[at]);
  }

  /**
   * What is asked for in one turn of the event loop is asked of Redis at its end, in one call a partition: the more wait, the less
   * each costs.
   */
  private askFor(partition: number): Asked {
    const known = this.asked[partition];
    if (known) return known;
    const asked: Asked = { ids: [], states: [], answered: endOfTurn().then(() => this.answer(partition)) };
    this.asked[partition] = asked;
    return asked;
  }

  private async answer(partition: number): Promise<void> {
    const asked = this.asked[partition] as Asked;
    this.asked[partition] = undefined;
    asked.states = await findStates(this.redis, stageTag(this.stage, partition), asked.ids);
  }
}

/** Customers of a partition who are asked for together. */
interface Asked {
  readonly ids: string[];
  states: (Buffer | null)[];
  readonly answered: Promise<void>;
}

export interface ScanPage<S> {
  readonly cursor: string;
  readonly customers: { customerId: string; state: S }[];
}
