import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { storedCustomers, storedTimers } from '#lib/stream/partition-contents.ts';
import { splitTimerKey } from '#lib/stream/timers.ts';
import { type KeyedStageName, partitionOf } from '#lib/topology/topology.ts';
import { KEYED } from './drained.ts';
import type { Partitions } from './partitions.ts';

/** What a stage has, in whatever partitions: equal sums mean the same customers with the same bytes, and the same timers. */
export interface Sum {
  readonly states: number;
  readonly timers: number;
  /** All keys with their values, each hashed, added up. */
  readonly digest: string;
}

export type Sums = Record<string, Sum>;

const MODULUS = 2n ** 256n;

/**
 * Looks at every key. @param placed number of partitions each customer must lie in by its hash; undefined: not looked at
 * @throws Error naming what lies where it should not
 */
export async function sumsOf(redis: Redis, partitions: Partitions, placed?: number): Promise<Sums> {
  const sums = new Map(KEYED.map((stage) => [stage, { states: 0, timers: 0, digest: 0n }]));
  const add = (stage: KeyedStageName, what: 'states' | 'timers', id: string, value: Uint8Array | string) => {
    const sum = sums.get(stage) as { states: number; timers: number; digest: bigint };
    const hash = createHash('sha256').update(`${what}\0${id.length}\0${id}`).update(value).digest('hex');
    sum[what]++;
    sum.digest = (sum.digest + BigInt(`0x${hash}`)) % MODULUS;
  };
  const check = (stage: string, partition: number, customerId: string) => {
    if (placed !== undefined && partitionOf(customerId, placed) !== partition)
      throw new Error(`${stage}.${partition} has ${customerId}, whose partition is ${partitionOf(customerId, placed)}`);
  };
  // A walk over Redis may show a key twice.
  const seen = new Set<string>();
  for await (const { stage, partition, customerIds } of storedCustomers(redis)) {
    const ids = customerIds.filter((id) => !seen.has(`${stage} ${id}`));
    const states = ids.length === 0 ? [] : await partitions.store(stage, partition).states(ids);
    ids.forEach((id, i) => {
      const bytes = states[i];
      if (!bytes) return;
      seen.add(`${stage} ${id}`);
      check(stage, partition, id);
      add(stage, 'states', id, bytes);
    });
  }
  for (const stage of KEYED) {
    for (let p = 0; p < partitions.count; p++) {
      for (const { key, due } of await storedTimers(redis, stage, p)) {
        check(stage, p, splitTimerKey(key).customerId);
        add(stage, 'timers', key, String(due));
      }
    }
  }
  return Object.fromEntries(
    [...sums].map(([stage, { digest, ...counts }]) => [stage, { ...counts, digest: digest.toString(16) }]),
  );
}
