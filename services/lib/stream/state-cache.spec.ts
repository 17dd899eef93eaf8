import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import type { Codec } from './processor.ts';
import { StateCache } from './state-cache.ts';
import type { Entry } from './states.ts';

const codec: Codec<string> = {
  encode: (state) => Buffer.from(state),
  decode: (bytes) => Buffer.from(bytes).toString(),
};

/** A cache over a store that notes what it was asked for. */
function cacheOf(capacity: number) {
  const stored = new Map<string, Uint8Array>();
  const reads: string[][] = [];
  const states = async (ids: readonly string[]) => {
    reads.push([...ids]);
    return ids.map((id) => stored.get(id) ?? null);
  };
  const cache = new StateCache(codec, { states }, capacity);
  const say = async (batch: string[], word: string) => {
    await cache.load(batch);
    for (const id of batch) {
      const entry = cache.get(id);
      entry.state = `${entry.state ?? ''}${word}`;
      entry.dirty = true;
    }
  };
  const commit = () => {
    const store = (entry: Entry<string>) => ({ bytes: codec.encode(entry.state ?? ''), kept: 0, tail: undefined });
    const writes = cache.dirty(store);
    for (const { customerId, bytes } of writes) stored.set(customerId, bytes);
    cache.committed();
    return writes.map(({ customerId, fresh }) => `${customerId}${fresh ? ' new' : ''}`);
  };
  return { cache, stored, reads, say, commit };
}

it('asks once for all that are not there, and writes each changed state once', async () => {
  const { cache, reads, say, commit } = cacheOf(10);
  await say(['a', 'b', 'a'], '1');
  await say(['b', 'c'], '2');
  await cache.load(['d']);
  expect(reads).toEqual([['a', 'b'], ['c'], ['d']]);
  expect(commit()).toEqual(['a new', 'b new', 'c new']);
  await say(['b'], '3');
  expect(commit()).toEqual(['b']);
  expect(commit()).toEqual([]);
  expect(() => cache.get('e')).toThrow('announced');
});

it('asks the store though nothing is missing when it is told to', async () => {
  const { cache, reads } = cacheOf(10);
  await cache.load(['a']);
  await cache.load(['a'], true);
  expect(reads).toEqual([['a'], []]);
});

it('forgets what a batch did when it is reloaded', async () => {
  const { cache, say, commit } = cacheOf(10);
  await say(['a', 'b'], '1');
  commit();
  await say(['a', 'c'], 'half');
  await cache.reload();
  expect([cache.get('a').state, cache.get('c').state]).toEqual(['1', undefined]);
  expect(commit()).toEqual([]);
});

it('keeps those who come again and forgets those who do not', async () => {
  const { reads, say, commit } = cacheOf(3);
  for (const id of ['1', '2', '3', '4', '5', '6']) {
    await say(['often', id], 'x');
    commit();
  }
  expect(reads.flat().filter((id) => id === 'often')).toHaveLength(1);
});

it('never holds more than its capacity after a commit, and what it holds or reads is what was said', async () => {
  const batches = fc.array(fc.tuple(fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 6 }), fc.boolean()), {
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 8 }), async (list, capacity) => {
      const { cache, reads, say, commit } = cacheOf(capacity);
      const said = new Map<string, string>();
      for (const [ids, isCommitted] of list) {
        const batch = ids.map((id) => `c${id}`);
        await say(batch, '.');
        for (const id of batch) said.set(id, `${said.get(id) ?? ''}.`);
        if (isCommitted) commit();
      }
      commit();
      const before = reads.length;
      await cache.load([...said.keys()]);
      const missing = reads.slice(before).flat();
      expect(said.size - missing.length).toBeLessThanOrEqual(capacity);
      for (const [id, words] of said) expect(cache.get(id).state).toBe(words);
    }),
  );
});
