import { describe, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import {
  CALLS,
  itemSubjects,
  LANE,
  type LogKind,
  PORTS,
  partitionOf,
  partitionsOver,
  SERVICES,
  STAGES,
  STREAMS,
  type StageName,
  subjects,
  WIRING,
} from './topology.ts';

/** NATS: `*` is one token, `>` at the end one or more. */
function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  if (wanted.at(-1) === '>')
    return tokens.length >= wanted.length && wanted.slice(0, -1).every((w, i) => w === '*' || w === tokens[i]);
  return wanted.length === tokens.length && wanted.every((w, i) => w === '*' || w === tokens[i]);
}

const streamsOf = (subject: string) =>
  Object.values(STREAMS)
    .filter(({ subjects }) => subjects.some((pattern) => matches(pattern, subject)))
    .map(({ name }) => name);

const wired = Object.entries(WIRING);

describe('wiring', () => {
  test('every stage is wired, but the two that are not keyed', () => {
    expect(STAGES.filter((stage) => !(stage in WIRING))).toEqual(['identity', 'analytics']);
    for (const [stage] of wired) expect(STAGES).toContain(stage);
  });

  test('every upstream has an output and stands earlier in the chain, so no stage waits for itself', () => {
    for (const [stage, { upstream }] of wired) {
      if (upstream === undefined) continue;
      expect(WIRING[upstream as keyof typeof WIRING]?.output).toBeDefined();
      expect(STAGES.indexOf(upstream)).toBeLessThan(STAGES.indexOf(stage as StageName));
    }
  });

  test('a subject of the log is written by one stage only', () => {
    const outputs = wired.map(([, { output }]) => output);
    expect(new Set(outputs).size).toBe(outputs.length);
    // Steps are made by identity, the kit and outcomes; a stage that wrote one would wait for its own output.
    const items = itemSubjects(3, 'messaging');
    for (const output of outputs) {
      expect(items.filter((pattern) => matches(pattern, subjects.log(3, output)))).toEqual([]);
    }
  });

  test('calls and ports name services there are', () => {
    for (const { from, to } of CALLS) {
      expect(SERVICES).toContain(from);
      expect(SERVICES).toContain(to);
      expect(from).not.toBe(to);
    }
    expect(Object.keys(PORTS.grpc).sort()).toEqual([...SERVICES].sort());
    const ports = [PORTS.ingestHttp, PORTS.clickhouseHttp, ...Object.values(PORTS.grpc)];
    expect(new Set(ports).size).toBe(ports.length);
  });
});

describe('subjects', () => {
  const kinds: LogKind[] = ['event', 'profile', 'segment', 'step', 'delivery', 'outcome', 'tick'];

  test('belong to exactly one stream', () => {
    expect(streamsOf(subjects.ingest(LANE))).toEqual(['INGEST']);
    for (const kind of kinds) expect(streamsOf(subjects.log(7, kind))).toEqual(['LOG']);
    for (const stage of STAGES) {
      expect(streamsOf(subjects.definition(7, stage))).toEqual(['LOG']);
      expect(streamsOf(subjects.handover(7, stage, 2))).toEqual(['LOG']);
      expect(streamsOf(subjects.deadLetter(stage, 7))).toEqual(['DEAD_LETTERS']);
    }
  });

  test('item subjects of a partition take its items and nothing of another partition', () => {
    const taken = (subject: string) =>
      itemSubjects(1, 'messaging').filter((pattern) => matches(pattern, subject)).length;
    const items = ['event', 'tick', 'outcome'] as const;
    for (const kind of items) expect(taken(subjects.log(1, kind))).toBe(1);
    for (const stage of STAGES) {
      expect(taken(subjects.definition(1, stage))).toBe(1);
      expect(taken(subjects.handover(1, stage, 0))).toBe(1);
      expect(taken(subjects.handover(11, stage, 1))).toBe(0);
    }
    for (const kind of items) expect(taken(subjects.log(11, kind))).toBe(0);
  });
});

describe('partitionOf', () => {
  /** What a client in another language must get: published test vectors of 32-bit FNV-1a. */
  test.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
  ])('%j is FNV-1a', (id, hash) => {
    expect(partitionOf(id, 2 ** 32)).toBe(hash);
    for (const partitions of [1, 4, 7, 32, 1024]) expect(partitionOf(id, partitions)).toBe(hash % partitions);
  });

  test('fixed for customer ids: changing it would lose every customer of a cluster', () => {
    const at = (id: string) => [4, 12, 32].map((partitions) => partitionOf(id, partitions));
    expect(at('01KQGT7MGRX03FKSSGPJ4QDBS3')).toEqual([0, 0, 0]);
    expect(at('01KQGT7MGRX03FKSSGPJ4QDBS4')).toEqual([1, 5, 5]);
    expect(at('01KQGT7MGRX03FKSSGPJ4QDBS5')).toEqual([2, 6, 18]);
  });

  test('is in range', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1024 }), (id, partitions) => {
        const partition = partitionOf(id, partitions);
        expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
      }),
    );
  });

  test.each([4, 12, 32, 100])('spreads ids that differ only at the end evenly over %i', (partitions) => {
    const n = 100_000;
    const counts = new Array<number>(partitions).fill(0);
    for (let i = 0; i < n; i++) {
      const partition = partitionOf(`01KQGT7MGR${i.toString(32).toUpperCase().padStart(16, '0')}`, partitions);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    const expected = n / partitions;
    // Chi-squared has mean `partitions - 1`; four standard deviations above it is one in thousands for a fair hash.
    const chi2 = counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
    expect(chi2).toBeLessThan(partitions - 1 + 4 * Math.sqrt(2 * (partitions - 1)));
  });
});

test('older records of a customer are in one of the partitions named, whatever numbers there were', () => {
  const numbers = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(numbers, fc.string(), (layouts, id) => {
      const now = partitionOf(id, layouts.at(-1) as number);
      const named = partitionsOver(now, layouts);
      for (const then of layouts) expect(named).toContain(partitionOf(id, then));
    }),
  );
  expect(partitionsOver(3, [8])).toEqual([3]);
  expect(partitionsOver(1, [4, 6])).toEqual([1, 3, 5]);
  expect(partitionsOver(2, [4, 5])).toEqual([0, 1, 2, 3, 4]);
});
