import type { Redis } from 'ioredis';
import { StateReader } from '#lib/stream/state-reader.ts';
import { type ProfileState, stateCodec } from '../core/state.ts';
import type { ProfileStates, ReadClock } from '../rpc/profile-handlers.ts';

export interface Reading {
  readonly states: ProfileStates;
  readonly clock: ReadClock;
}

/** Committed profiles in Redis, readable from every replica, and what "now" is for them. */
export function openReading(redis: Redis, partitions: number, clock: 'live' | 'event'): Reading {
  const reader = new StateReader<ProfileState>('profile', stateCodec, redis, partitions);
  return {
    states: reader,
    // On the event clock history runs at its own speed: windows end where the customer's partition stands.
    clock: clock === 'live' ? () => Date.now() : (customerId) => reader.clock(customerId),
  };
}
