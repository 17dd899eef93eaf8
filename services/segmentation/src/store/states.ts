import type { Redis } from 'ioredis';
import { StateReader } from '#lib/stream/state-reader.ts';
import { type CustomerState, stateCodec } from '../core/state.ts';

/** Committed states, readable from every replica, and what "now" is for them. */
export interface States {
  readonly partitions: number;
  get(customerId: string): Promise<{ customerId: string; state: CustomerState } | undefined>;
  /** In the order asked for, after merges; undefined for those never seen. */
  getMany(customerIds: readonly string[]): Promise<({ customerId: string } | undefined)[]>;
  /** Cursor '0' starts, and ends. */
  scan(
    partition: number,
    cursor: string,
    limit: number,
  ): Promise<{ cursor: string; customers: { customerId: string; state: CustomerState }[] }>;
  /** Milliseconds since 1970; on the event clock where the customer's partition stands. */
  now(customerId: string): number | Promise<number>;
  /** The cluster's: on the event clock that of the partition that stands furthest. */
  clock(): number | Promise<number>;
}

export function openStates(redis: Redis, partitions: number, clock: 'live' | 'event'): States {
  const reader = new StateReader<CustomerState>('segmentation', stateCodec, redis, partitions);
  return {
    partitions,
    get: (customerId) => reader.get(customerId),
    getMany: (customerIds) => reader.getMany(customerIds),
    scan: (partition, cursor, limit) => reader.scan(partition, cursor, limit),
    now: clock === 'live' ? () => Date.now() : (customerId) => reader.clock(customerId),
    clock: clock === 'live' ? () => Date.now() : () => furthest(reader, partitions),
  };
}

async function furthest(reader: StateReader<CustomerState>, partitions: number): Promise<number> {
  const clocks = await Promise.all(Array.from({ length: partitions }, (_, p) => reader.partitionClock(p)));
  return Math.max(...clocks);
}
