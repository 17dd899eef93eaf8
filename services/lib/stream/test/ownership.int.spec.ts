import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { withServers } from '#tools/testkit/with-servers.ts';
import { LEASE_MS, RENEW_MS } from '../lease.ts';
import { Ownership, type Tenant } from '../ownership.ts';
import { rendezvous } from '../spread.ts';

const servers = withServers({ redis: true });
const PARTITIONS = 6;

/** When each partition was worked on, and by whom: open ends are infinite. */
interface Span {
  readonly partition: number;
  readonly replica: string;
  readonly from: number;
  to: number;
}

let redis: Redis;
let spans: Span[] = [];
let owners: Ownership[] = [];
let stage = 'profile';
let run = 0;

function replica(name: string): Ownership {
  redis ??= new Redis(servers.redis.url);
  const open = (partition: number): Tenant => {
    const span: Span = { partition, replica: name, from: performance.now(), to: Number.POSITIVE_INFINITY };
    spans.push(span);
    const end = () => {
      span.to = Math.min(span.to, performance.now());
    };
    return { stop: async () => end(), abandon: end, ended: new Promise(() => {}) };
  };
  const fail = (error: unknown) => {
    throw error;
  };
  const owner = new Ownership({ redis, stage, replica: name, partitions: PARTITIONS, open, onError: fail });
  owners.push(owner);
  return owner;
}

async function until(check: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not within 20 s: ${JSON.stringify(owners.map((o) => o.partitions))}`);
    await sleep(20);
  }
}

const shares = () => owners.map((o) => o.partitions.length);

/** The longest a partition was nobody's since it was first taken, ms; below zero where two worked at once. */
function gaps(): number[] {
  return Array.from({ length: PARTITIONS }, (_, p) => {
    const own = spans.filter(({ partition }) => partition === p).sort((a, b) => a.from - b.from);
    return own.slice(1).map((span, i) => span.from - (own[i]?.to ?? 0));
  }).flat();
}

afterEach(async () => {
  await Promise.all(owners.map((o) => o.stop()));
  spans = [];
  owners = [];
  // Nobody of one test is a member in the next.
  stage = `profile-${++run}`;
});

describe('partitions', () => {
  test('are spread evenly over those who come, one after the other, and are nobody’s for a moment only', async () => {
    replica('a');
    await until(() => shares().join() === '6');
    replica('b');
    await until(() => shares().join() === '3,3');
    replica('c');
    await until(() => shares().join() === '2,2,2');
    expect(Math.min(...gaps())).toBeGreaterThanOrEqual(0);
    // One look of who waits, and Redis. Without waiting eyes it is up to RENEW_MS.
    expect(median(gaps())).toBeLessThan(RENEW_MS / 2);
  });

  test('of one who leaves go on until the others know, and then change hands at once', async () => {
    const [a] = [replica('a'), replica('b')];
    await until(() => shares().join() === '3,3');
    const moved = spans.length;
    await a.stop();
    owners = owners.slice(1);
    await until(() => shares().join() === '6');
    expect(spans.length - moved).toBe(3);
    expect(Math.min(...gaps())).toBeGreaterThanOrEqual(0);
    expect(median(gaps().slice(-3))).toBeLessThan(RENEW_MS / 2);
  });

  test('are chosen as an older replica chooses as long as one is there, so that none is nobody’s', async () => {
    replica('a');
    await until(() => shares().join() === '6');
    // Renewed as its owner would; it takes nothing, so what it wants can be told from what others leave to it.
    const beat = setInterval(() => void redis.zadd(`replicas:${stage}`, Date.now(), 'older'), RENEW_MS);
    try {
      await redis.zadd(`replicas:${stage}`, Date.now(), 'older');
      const theirs = rendezvous(PARTITIONS, ['a', 'older']);
      const ours = Array.from({ length: PARTITIONS }, (_, p) => p).filter((p) => theirs[p] === 'a');
      expect(ours.length).not.toBe(PARTITIONS / 2);
      await until(() => owners[0]?.partitions.join() === ours.join());
    } finally {
      clearInterval(beat);
    }
    replica('b');
    await sleep(LEASE_MS + 2 * RENEW_MS);
    expect(shares()).toEqual([3, 3]);
  });
});

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
