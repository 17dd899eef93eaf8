import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { type BatchResult, START } from './batch.ts';
import { CommitGroup, freshWork } from './commit-group.ts';
import { before, type DueTimer } from './timers.ts';

const result = (changes: Partial<BatchResult>): BatchResult => ({
  outputs: [],
  deadRecords: [],
  timers: new Map(),
  pending: new Map(),
  definitions: [],
  sweeps: [],
  position: START,
  ...changes,
});

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const due = fc.integer({ min: 1, max: 9 });
const changes = fc.array(fc.tuple(key, fc.option(due)), { maxLength: 6 });

test('timers that are due are those the store would give, had every batch been committed', () => {
  fc.assert(
    fc.property(
      changes,
      fc.array(changes, { maxLength: 4 }),
      due,
      fc.integer({ min: 1, max: 6 }),
      (old, batches, until, limit) => {
        const store = new Map<string, number>();
        const apply = (list: readonly [string, number | null][]) => {
          for (const [k, at] of list) at === null ? store.delete(k) : store.set(k, at);
        };
        const read = (n: number): DueTimer[] =>
          [...store]
            .map(([k, at]) => ({ key: k, due: at }))
            .filter((t) => t.due <= until)
            .sort((a, b) => (before(a, b) ? -1 : 1))
            .slice(0, n);
        apply(old);
        const group = new CommitGroup(START);
        for (const batch of batches) group.add(result({ timers: new Map(batch) }), 1, false, 0);
        const seen = group.due(read(limit + group.timers.size), until, limit);
        for (const batch of batches) apply([...new Map(batch)]);
        expect(seen).toEqual(read(limit));
      },
    ),
  );
});

const work = { customerId: 'c', bytes: Buffer.of(1) };
const pending = (...entries: [string, typeof work | null][]) => result({ pending: new Map(entries) });

test('what may have been begun before is begun with the commit, but not when it has ended by then', () => {
  const group = new CommitGroup(START);
  group.add(pending(['first', work], ['second', work]), 2, true, 0);
  group.add(pending(['first', null], ['third', work]), 2, false, 0);
  expect(group.work()).toEqual([{ key: 'second', ...work, recovered: true, trace: undefined }]);
});

test('what is new is begun when it is published', () => {
  expect(freshWork(pending(['ended', null], ['new', work]))).toEqual([{ key: 'new', ...work, recovered: false }]);
});

test('is committed when it is old or large', () => {
  const quiet = new CommitGroup(START);
  expect(quiet.empty).toBe(true);
  quiet.add(result({}), 10, false, 1_000);
  expect([quiet.empty, quiet.full(1_001), quiet.full(1_250)]).toEqual([false, false, true]);
  const large = new CommitGroup(START);
  large.add(result({}), 16_384, false, 0);
  expect(large.full(0)).toBe(true);
});

test('who waits for outside work does not wait for a full group', () => {
  const group = new CommitGroup(START);
  group.add(pending(['settled', null], ['new', work]), 1, false, 0);
  expect(group.full(20)).toBe(false);
  group.add(pending(['send', work]), 1, true, 15);
  expect(group.full(9)).toBe(false);
  expect(group.full(20)).toBe(true);
});

test('a group waits for more when nobody waits for its commit, and not for long', () => {
  const group = new CommitGroup(START);
  expect(group.linger(1_000, 5)).toBe(Number.POSITIVE_INFINITY);
  group.add(result({ timers: new Map([['t', 5]]) }), 1, false, 1_005);
  expect(group.linger(1_010, 5)).toBe(10);
  group.add(result({}), 1, false, 1_015);
  expect(group.linger(1_015, 5)).toBe(5);
  expect(group.linger(1_030, 5)).toBe(0);
});

test('a group does not wait where batches come farther apart than that', () => {
  const group = new CommitGroup(START);
  group.add(result({}), 1, false, 1_005);
  expect([19, 20, Number.POSITIVE_INFINITY].map((everyMs) => group.linger(1_005, everyMs))).toEqual([15, 0, 0]);
});

test('groups of several partitions are committed together', () => {
  const dues = [1_000, 1_010, 1_019].map((now) => {
    const group = new CommitGroup(START);
    group.add(result({}), 1, false, now);
    return now + group.linger(now, 5);
  });
  expect(dues).toEqual([1_020, 1_020, 1_020]);
});

test('a group is committed at once when outside work that may have been begun before waits for it', () => {
  const group = new CommitGroup(START);
  group.add(pending(['new', work], ['ended', null]), 1, false, 1_001);
  expect(group.linger(1_001, 5)).toBe(19);
  group.add(pending(['old', work]), 1, true, 1_001);
  expect(group.linger(1_001, 5)).toBe(0);
});

test.each([
  ['a timer is gone', { timers: new Map([['t', null]]) }],
  ['a definition is in force', { definitions: [{ kind: 'k', id: 'i', revision: 1, body: Buffer.of() }] }],
] as [string, Partial<BatchResult>][])('a group is committed at once when %s', (_, changes) => {
  const group = new CommitGroup(START);
  group.add(result(changes), 1, false, 1_000);
  expect(group.linger(1_000, 5)).toBe(0);
});
