import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { withServers } from '#tools/testkit/with-servers.ts';
import { START } from '../batch.ts';
import { customersAfter } from '../buckets.ts';
import { CommitGroup } from '../commit-group.ts';
import { BUCKETS_AND_KEYS, layoutKey, NEWEST } from '../layout.ts';
import { Lease } from '../lease.ts';
import { PartitionStore, stageTag } from '../partition-store.ts';
import { StateReader } from '../state-reader.ts';
import { decodeEntry, encodeEntry } from '../states.ts';

const servers = withServers({ redis: true });
let redis: Redis;
beforeEach(async () => {
  redis ??= new Redis(servers.redis.url);
  await redis.flushall();
});
afterAll(() => redis?.quit());

/** Says which of its two ways a state was written in. */
const codec = {
  encode: (state: string) => Buffer.from(`plain ${state}`),
  pack: (state: string) => Buffer.from(`packed ${state}`),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const TAG = stageTag('profile', 0);

/** A replica takes the partition, writes a customer, and goes. */
async function write(customerId: string, layout: 'kept' | 'newest'): Promise<number> {
  const lease = await Lease.acquire(redis, 'profile', 0, 'replica', layout);
  const store = new PartitionStore(redis, 'profile', 0, lease?.token ?? '', { indexed: true });
  const { position } = await store.load();
  const [known] = await store.states([customerId]);
  const entry = { ...decodeEntry(known, codec), state: customerId, dirty: true };
  const bytes = encodeEntry(entry, codec, store.layout);
  const group = new CommitGroup({ ...position, seq: position.seq + 1 });
  await store.commit(group, [{ customerId, bytes, fresh: entry.fresh }]);
  await lease?.release();
  return store.layout;
}

const reader = () => new StateReader('profile', codec, redis, 1);
const read = async (id: string) => (await reader().get(id))?.state;

/** As the version before left it. */
async function before(...customerIds: string[]): Promise<void> {
  await redis.set(`${TAG}:owner`, 'earlier/token');
  await redis.set(`${TAG}:position`, JSON.stringify({ ...START, seq: 7 }));
  for (const id of customerIds) {
    await redis.set(`${TAG}:s:${id}`, codec.encode(id));
    await redis.zadd(`${TAG}:c`, 0, id);
  }
}

test('a partition that nobody had begins with the newest layout', async () => {
  expect(await write('a', 'kept')).toBe(NEWEST);
  expect(await read('a')).toBe('packed a');
});

test('one of the version before stays as it can read it', async () => {
  await before('a');
  expect(await write('b', 'kept')).toBe(1);
  expect([await read('a'), await read('b')]).toEqual(['plain a', 'plain b']);
  expect(await redis.get(`${TAG}:s:b`)).toBe('plain b');
});

test('asked for the newest, states change as they are written, and both are read', async () => {
  await before('a', 'b');
  expect(await write('b', 'newest')).toBe(BUCKETS_AND_KEYS);
  // The setting may be taken back: what is is kept.
  expect(await write('c', 'kept')).toBe(BUCKETS_AND_KEYS);
  expect([await read('a'), await read('b'), await read('c')]).toEqual(['plain a', 'packed b', 'packed c']);
  const { customers } = await reader().scan(0, '0', 10);
  expect(customers.map(({ customerId }) => customerId)).toEqual(['a', 'b', 'c']);
  expect(await redis.keys(`${TAG}:s:*`)).toEqual([`${TAG}:s:a`]);
  expect(await customersAfter(redis, TAG, 'a', 10)).toEqual(['b', 'c']);
});

test('a layout of a newer version is refused', async () => {
  await before('a');
  await redis.set(layoutKey(TAG), '99');
  await expect(write('a', 'newest')).rejects.toThrow('its states have layout 99, of a newer version');
  expect(await redis.get(layoutKey(TAG))).toBe('99');
});
