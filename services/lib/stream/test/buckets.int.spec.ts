import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { byBytes, customersAfter, findStates, statesAfter } from '../buckets.ts';
import { CommitGroup } from '../commit-group.ts';
import { Lease } from '../lease.ts';
import { PackedList } from '../packed-list.ts';
import { FencedError, PartitionStore, stageTag, ThrownBackError } from '../partition-store.ts';

const servers = withServers({ redis: true });
let redis: Redis;
beforeEach(async () => {
  redis ??= new Redis(servers.redis.url);
  await redis.flushall();
});
afterAll(() => redis?.quit());

const TAG = stageTag('profile', 0);

async function take(replica = 'a'): Promise<PartitionStore> {
  await redis.del(`${TAG}:lease`);
  const lease = await Lease.acquire(redis, 'profile', 0, replica, 'kept');
  const store = new PartitionStore(redis, 'profile', 0, lease?.token ?? '', { indexed: true });
  await store.load();
  return store;
}

let seq = 0;
const commit = (store: PartitionStore, states: ReadonlyMap<string, string>, kept: ReadonlyMap<string, number> = NONE) =>
  store.commit(
    new CommitGroup({ seq: ++seq, steps: 0, emitted: 0, clock: 0 }),
    [...states].map(([customerId, text]) => {
      return { customerId, bytes: Buffer.from(text), kept: kept.get(customerId) ?? 0, fresh: false };
    }),
  );
const NONE: ReadonlyMap<string, number> = new Map();

/** Everything Redis holds, asked for in every way, is what was written. */
async function same(store: PartitionStore, model: ReadonlyMap<string, string>): Promise<void> {
  const ids = [...model.keys()].sort(byBytes);
  const asked = [...ids, 'nobody', ''];
  const wanted = asked.map((id) => model.get(id));
  expect((await store.states(asked)).map((bytes) => bytes?.toString())).toEqual(wanted);
  expect((await findStates(redis, TAG, asked)).map((bytes) => bytes?.toString())).toEqual(wanted);
  const walked: string[] = [];
  for (let after = ''; ; after = walked.at(-1) ?? '') {
    const page = await store.customersAfter(after, 7);
    walked.push(...page);
    if (page.length < 7) break;
  }
  expect(walked).toEqual(ids);
  const all = await statesAfter(redis, TAG, '', 100_000);
  expect(all.map(({ customerId, bytes }) => [customerId, bytes.toString()])).toEqual(
    ids.map((id) => [id, model.get(id)]),
  );
}

/** Ids that share beginnings, some of them of others than ASCII. */
const id = fc.oneof(
  fc.nat(400).map((n) => `01M8AT0GDC${n.toString(32).toUpperCase().padStart(16, '0')}`),
  fc.string({ unit: fc.constantFrom('a', 'B', '0', '~', 'é', '客', '😀', '\uffee'), minLength: 1, maxLength: 4 }),
);
const value = fc.oneof(
  { weight: 5, arbitrary: fc.string({ maxLength: 20 }).map((text) => `v${text.toWellFormed()}`) },
  { weight: 2, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constant('long'.repeat(1_000)) },
);
const commits = fc.array(fc.array(fc.tuple(id, value), { maxLength: 120 }), { minLength: 1, maxLength: 6 });

test('whatever is written is found, in order, by its owner, the next one and readers', async () => {
  await fc.assert(
    fc.asyncProperty(commits, async (all) => {
      await redis.flushall();
      let store = await take();
      const model = new Map<string, string>();
      for (const [n, writes] of all.entries()) {
        const states = new Map(writes);
        await commit(store, states);
        for (const [customerId, text] of states) text === '' ? model.delete(customerId) : model.set(customerId, text);
        if (n % 2 === 1) store = await take(`r${n}`);
        await same(store, model);
      }
    }),
    { numRuns: 40 },
  );
}, 60_000);

test('the end of what is stored stays where a write says so', async () => {
  const change = fc.tuple(id, value, fc.nat(5_000));
  await fc.assert(
    fc.asyncProperty(commits, fc.array(fc.array(change, { maxLength: 60 }), { maxLength: 4 }), async (first, more) => {
      await redis.flushall();
      const store = await take();
      const model = new Map<string, string>();
      for (const writes of first) {
        const states = new Map(writes);
        await commit(store, states);
        for (const [customerId, text] of states) text === '' ? model.delete(customerId) : model.set(customerId, text);
      }
      for (const writes of more) {
        const states = new Map(writes.map(([customerId, text]) => [customerId, text]));
        const kept = new Map<string, number>();
        for (const [customerId, , most] of writes) {
          const old = Buffer.from(model.get(customerId) ?? '');
          if (states.get(customerId) !== '' && old.length > 0) kept.set(customerId, most % (old.length + 1));
        }
        await commit(store, states, kept);
        for (const [customerId, text] of states) {
          const n = kept.get(customerId) ?? 0;
          const end =
            n === 0
              ? ''
              : Buffer.from(model.get(customerId) ?? '')
                  .toString('latin1')
                  .slice(-n);
          const whole = Buffer.concat([Buffer.from(text), Buffer.from(end, 'latin1')]);
          text === '' ? model.delete(customerId) : model.set(customerId, whole.toString());
        }
        await same(store, model);
      }
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('a list in one argument is the same list in a script, texts of any length and bytes', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('', 'x'.repeat(31), 'x'.repeat(32), 'é'.repeat(40_000), 'y'.repeat(0xffff), 'z'.repeat(0x10000)),
  );
  const item = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.maxSafeNat());
  const packed = new PackedList();
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 50 }), async (items) => {
      for (const each of items) packed.add(each);
      expect(packed.length).toBe(items.length);
      const script = 'return cmsgpack.unpack(ARGV[1])';
      const answer = (await redis.callBuffer('EVAL', script, 0, packed.finish())) as Buffer[];
      const wanted = items.map((each) => Buffer.from(typeof each === 'number' ? String(each) : (each as string)));
      expect(answer.length).toBe(wanted.length);
      for (const [i, bytes] of answer.entries()) expect(bytes.equals(wanted[i] as Buffer)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('a commit of more than a script takes at once is whole', async () => {
  const store = await take();
  const model = new Map(Array.from({ length: 2_600 }, (_, i) => [`c${String(i).padStart(5, '0')}`, `v${i}`]));
  const timers = [...model.keys()].map((id, i) => ({ key: `${id}\u0000t`, due: 1_000 + i }));
  const group = new CommitGroup({ seq: ++seq, steps: 0, emitted: 0, clock: 0 });
  for (const { key, due } of timers) group.timers.set(key, due);
  const writes = [...model].map(([customerId, text]) => ({ customerId, bytes: Buffer.from(text), fresh: true }));
  await store.commit(group, writes);
  await same(store, model);
  expect(await store.dueTimers(10_000, 5_000)).toEqual(timers);
  const next = new CommitGroup({ seq: ++seq, steps: 0, emitted: 0, clock: 0 });
  for (const { key } of timers.slice(1)) next.timers.set(key, null);
  await store.commit(next, []);
  expect(await store.dueTimers(10_000, 5_000)).toEqual(timers.slice(0, 1));
});

test('with less stored than is to stay, nothing is written', async () => {
  const store = await take();
  await commit(store, new Map([['a', 'old']]));
  const states = new Map([
    ['a', 'new'],
    ['b', 'new'],
  ]);
  for (const kept of [new Map([['a', 4]]), new Map([['b', 1]])])
    await expect(commit(store, states, kept)).rejects.toThrow(ThrownBackError);
  await same(store, new Map([['a', 'old']]));
});

test('buckets stay small, and in one piece of memory, however customers come', async () => {
  const store = await take();
  const model = new Map<string, string>();
  const idOf = (n: number) => `01M8AT0GDC${n.toString(32).toUpperCase().padStart(16, '0')}`;
  // In order, many at once; then in between, one after the other as well.
  for (const [from, count, step] of [
    [0, 900, 10],
    [5, 500, 18],
    [9_001, 1, 1],
    [9_002, 1, 1],
    [3, 300, 10],
  ] as const) {
    const states = new Map(Array.from({ length: count }, (_, i) => [idOf(from + i * step), 'x'.repeat(300)]));
    await commit(store, states);
    for (const [customerId, text] of states) model.set(customerId, text);
  }
  await same(store, model);
  const buckets = await redis.keys(`${TAG}:b:*`);
  const sizes = await Promise.all(buckets.map((key) => redis.hlen(key)));
  expect(Math.max(...sizes)).toBeLessThanOrEqual(32);
  expect(sizes.reduce((a, b) => a + b, 0)).toBe(model.size);
  expect(buckets.length).toBeLessThan(model.size / 16);
  const kinds = await Promise.all(buckets.map((key) => redis.object('ENCODING', key)));
  expect(new Set(kinds)).toEqual(new Set(['listpack']));
  expect(await redis.exists(`${TAG}:c`)).toBe(0);
  expect(await customersAfter(redis, TAG, idOf(9_000), 10)).toEqual([idOf(9_001), idOf(9_002)]);
});

test('who lost the partition reads and writes nothing, and sees no bucket of the next', async () => {
  const first = await take('a');
  await commit(first, new Map([['a', '1']]));
  const second = await take('b');
  await commit(second, new Map(Array.from({ length: 100 }, (_, i) => [`b${i}`, '2'])));
  await expect(first.states(['b50'])).rejects.toThrow(FencedError);
  await expect(commit(first, new Map([['b50', 'late']]))).rejects.toThrow(FencedError);
  expect(String((await second.states(['b50']))[0])).toBe('2');
});
