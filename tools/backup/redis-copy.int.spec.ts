import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, expect, test } from 'vitest';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { sealWithCrc } from './crc64.ts';
import { DumpError, keysOfDump } from './rdb.ts';
import { loadRedis, saveRedis } from './redis-copy.ts';

const PASSWORD = 'a:b/ü';
const DIGESTS = 'enable-debug-command local';
const live = withServers({ redis: { config: `list-max-listpack-size 4\nrepl-diskless-sync-delay 0\n${DIGESTS}` } });
// One that sends the dump from its disk, with its length.
const fresh = withServers({ redis: { config: `repl-diskless-sync no\n${DIGESTS}` } });

const liveUrl = () => live.redis.url.replace('//', `//:${encodeURIComponent(PASSWORD)}@`);

/** By Redis's own digest, which is the same in whatever order it keeps what has none. */
async function contentOf(redis: Redis): Promise<Map<string, [string, number]>> {
  const found = new Map<string, [string, number]>();
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scanBuffer(cursor, 'COUNT', 1000);
    for (const key of keys) {
      const [digest, expires] = await Promise.all([redis.call('DEBUG', 'DIGEST-VALUE', key), redis.pexpiretime(key)]);
      found.set(key.toString('hex'), [String(digest), expires]);
    }
    cursor = next.toString();
    if (cursor === '0') return found;
  }
}

beforeAll(async () => {
  const redis = new Redis(live.redis.url);
  await redis.config('SET', 'requirepass', PASSWORD);
  redis.disconnect();
});

test('every way Redis keeps a value, large and small, comes out as it was, from either kind of server', async () => {
  const redis = new Redis(liveUrl());
  const long = (n: number) => 'a long value that repeats itself '.repeat(n);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  await redis.set('short', 'x');
  await redis.set('number', '-12345');
  await redis.set('compressed', long(100));
  // Beyond a chunk of the reader, so that values lie across its borders.
  await redis.set('large', Buffer.alloc(9_000_000, bytes));
  await redis.set(bytes, bytes);
  await redis.set(Buffer.from('12345'), 'a key that is a number');
  await redis.set('k'.repeat(400), 'a key that is compressed');
  await redis.set('brief', 'x', 'PX', 600_000);
  await redis.hset('small', { a: '1', b: 'two' });
  await redis.hset('hash', Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`field ${i}`, long(i % 3)])));
  await redis.sadd('numbers', ...Array.from({ length: 100 }, (_, i) => String(i * 7)));
  await redis.sadd('words', 'one', 'two');
  await redis.sadd('set', ...Array.from({ length: 3000 }, (_, i) => `member ${i}`));
  await redis.rpush('list', ...Array.from({ length: 500 }, (_, i) => `item ${i}`), long(400));
  await redis.zadd('ranks', 1.5, 'a', Number.POSITIVE_INFINITY, 'b');
  await redis.zadd('zset', ...Array.from({ length: 3000 }, (_, i) => [i / 3, `member ${i}`]).flat());
  for (let i = 0; i < 2000; i++) redis.set(`state ${i}`, `${i}`);
  await redis.set('{profile.0}:lease', 'somebody');
  await redis.set('rebuild:x', '1');

  const dir = temporaryDir();
  const saved = await saveRedis(liveUrl(), join(dir, 'first.rdb'));
  expect(saved.keys).toBe((await redis.dbsize()) - 2);
  expect(await loadRedis(fresh.redis.url, join(dir, 'first.rdb'))).toBe(saved.keys);
  const copy = new Redis(fresh.redis.url);
  const wanted = await contentOf(redis);
  for (const passing of ['{profile.0}:lease', 'rebuild:x']) wanted.delete(Buffer.from(passing).toString('hex'));
  expect(await contentOf(copy)).toEqual(wanted);
  expect(await saveRedis(fresh.redis.url, join(dir, 'second.rdb'))).toEqual(saved);
  // Nobody follows it any more.
  await expect.poll(async () => await redis.info('replication')).toContain('connected_slaves:0');
  redis.disconnect();
  copy.disconnect();

  const dump = readFileSync(join(dir, 'first.rdb'));
  const broken = join(dir, 'broken.rdb');
  const refused = async (content: Buffer, why: string) => {
    writeFileSync(broken, content);
    const read = async () => {
      for await (const _ of keysOfDump(broken));
    };
    await expect(read()).rejects.toThrow(new DumpError(why));
  };
  await refused(dump.subarray(0, dump.length / 2), `${broken} breaks off`);
  await refused(Buffer.from('REDIS'), 'this is no dump of a Redis');
  await refused(
    Buffer.from('REDIS0011\u0015', 'latin1'),
    "the dump has something of type 21, which is none of Recur's",
  );
}, 60_000);

test('what the server says is told: a wrong password', async () => {
  const file = join(temporaryDir(), 'none.rdb');
  await expect(saveRedis(live.redis.url.replace('//', '//:wrong@'), file)).rejects.toThrow(
    'Redis says to AUTH: -WRONGPASS',
  );
  expect(existsSync(file) && readFileSync(file).length > 0).toBe(false);
});

test('the checksum is that of Redis', () => {
  const sealed = sealWithCrc(Buffer.from('123456789--------'));
  expect(sealed.readBigUInt64LE(9)).toBe(0xe9c6d914c4b8d9can);
});
