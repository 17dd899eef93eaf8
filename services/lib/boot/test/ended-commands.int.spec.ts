import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withServers } from '#tools/testkit/with-servers.ts';
import { releaseEndedCommands } from '../ended-commands.ts';

const AT_ONCE = 10;
const COMMANDS = 1_000;
const VALUE = Buffer.alloc(600, 7);
/** Of a command: seen were 25, and 1,860 in the heap and 600 beside it when commands were kept. */
const MOST_BYTES = 300;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

interface Scripted {
  readBuffer(key: string, times: number): Promise<Buffer[]>;
  readTwiceBuffer(key: string): Promise<Buffer[]>;
}

const servers = withServers({ redis: true });
let redis: Redis & Scripted;
beforeAll(async () => {
  releaseEndedCommands();
  redis = new Redis(servers.redis.url, { commandTimeout: 5_000 }) as typeof redis;
  const times = "local found = {} for i = 1, N do found[i] = redis.call('GET', KEYS[1]) end return found";
  redis.defineCommand('read', { numberOfKeys: 1, lua: times.replace('N', 'ARGV[1]') });
  redis.defineCommand('readTwice', { numberOfKeys: 1, lua: times.replace('N', '2') });
  await redis.set('key', VALUE);
});
afterAll(() => redis?.disconnect());

function collectYoung(): number {
  gc({ type: 'minor' });
  gc({ type: 'minor' });
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each([
  ['scripts', () => redis.readBuffer('key', 1)],
  ['commands', () => redis.getBuffer('key')],
])('%s that are answered are freed by collections of the young generation', async (_, one) => {
  const run = async () => {
    for (let i = 0; i < COMMANDS; i += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (): Promise<unknown> => one()));
  };
  await run();
  gc();
  const left: number[] = [];
  for (let round = 0; round < 3; round++) {
    const before = collectYoung();
    await run();
    left.push((collectYoung() - before) / COMMANDS);
  }
  // The middle one: a full collection of its own accord in between would make one too small.
  expect(left.sort((a, b) => a - b)[1]).toBeLessThan(MOST_BYTES);
});

test('a script Redis has lost is sent again', async () => {
  expect(await redis.readBuffer('key', 2)).toEqual([VALUE, VALUE]);
  await redis.script('FLUSH');
  expect(await redis.readBuffer('key', 2)).toEqual([VALUE, VALUE]);
  expect(await Promise.all([redis.readTwiceBuffer('key'), redis.readBuffer('key', 1)])).toEqual([
    [VALUE, VALUE],
    [VALUE],
  ]);
});

test('refusals and silence reject, and the connection goes on', async () => {
  await expect(redis.call('NOPE')).rejects.toThrow(/unknown command/);
  await expect(redis.readBuffer('key', -1)).resolves.toEqual([]);
  await expect(redis.lpush('key', 'x')).rejects.toThrow(/WRONGTYPE/);
  const impatient = new Redis(servers.redis.url, { commandTimeout: 20 });
  await impatient.ping();
  await expect(impatient.call('BLPOP', 'nothing', '0.3')).rejects.toThrow(/timed out/);
  impatient.disconnect();
  expect(await redis.mset({ a: '1', b: '2' })).toBe('OK');
  expect(await redis.multi().get('a').get('b').exec()).toEqual([
    [null, '1'],
    [null, '2'],
  ]);
});

test('a connection that broke gets its scripts whole again', async () => {
  expect(await redis.readBuffer('key', 1)).toEqual([VALUE]);
  await redis.script('FLUSH');
  const other = new Redis(servers.redis.url);
  await other.client('KILL', 'ID', await redis.client('ID'));
  other.disconnect();
  expect(await redis.readBuffer('key', 1)).toEqual([VALUE]);
});
