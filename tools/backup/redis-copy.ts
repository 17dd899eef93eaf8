import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedis } from '#tools/servers/redis.ts';

/** Who owns what belongs to the processes that run now, and a rebuild's scratch to nobody. */
const PASSING = /(^replicas:|^\{replicas:|:lease$|:owner$|^rebuild:)/;

const DUMP = 'dump.rdb';
const PAGE = 1_000;
const SYNC_MS = 10 * 60_000;

/**
 * Copies a Redis as it is at one moment: by a replica of our own that follows it and then stops following. The live one goes on.
 * @param file gets the dump, in Redis's own format
 */
export async function saveRedis(url: string, file: string, folder: string): Promise<{ keys: number }> {
  const { hostname, port, username, password, protocol } = new URL(url);
  const config = [
    `replicaof ${hostname} ${port || 6379}`,
    'appendonly no',
    ...(password ? [`masterauth ${decodeURIComponent(password)}`] : []),
    ...(username && username !== 'default' ? [`masteruser ${decodeURIComponent(username)}`] : []),
    ...(protocol === 'rediss:' ? ['tls-replication yes'] : []),
  ].join('\n');
  const copy = await startRedis({ dir: folder, config });
  const redis = new Redis(copy.url);
  try {
    await synchronised(redis);
    await redis.call('REPLICAOF', 'NO', 'ONE');
    for await (const keys of keysOf(redis)) {
      const passing = keys.filter((key) => PASSING.test(key.toString('latin1')));
      if (passing.length > 0) await redis.del(...passing);
    }
    await redis.call('SAVE');
    copyFileSync(join(folder, DUMP), file);
    return { keys: await redis.dbsize() };
  } finally {
    redis.disconnect();
    await copy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts what a dump holds into an empty Redis, key by key. */
export async function loadRedis(
  url: string,
  file: string,
  folder: string,
  progress: (keys: number) => void,
): Promise<number> {
  mkdirSync(folder, { recursive: true });
  copyFileSync(file, join(folder, DUMP));
  const copy = await startRedis({ dir: folder, config: 'appendonly no' });
  const [from, to] = [new Redis(copy.url), new Redis(url)];
  let done = 0;
  try {
    for await (const keys of keysOf(from)) {
      await copyKeys(from, to, keys);
      done += keys.length;
      progress(done);
    }
    const [wanted, found] = await Promise.all([from.dbsize(), to.dbsize()]);
    if (found !== wanted) throw new Error(`Redis has ${found} keys after ${wanted} were copied`);
    return found;
  } finally {
    from.disconnect();
    to.disconnect();
    await copy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function copyKeys(from: Redis, to: Redis, keys: readonly Buffer[]): Promise<void> {
  const read = from.pipeline();
  for (const key of keys) read.dumpBuffer(key).pexpiretime(key);
  const values = (await read.exec()) ?? [];
  const write = to.pipeline();
  for (const [i, key] of keys.entries()) {
    const [dump, expires] = [values[i * 2]?.[1] as Buffer | null, Number(values[i * 2 + 1]?.[1])];
    if (dump === null) continue;
    if (expires > 0) write.restore(key, expires, dump, 'ABSTTL');
    else write.restore(key, 0, dump);
  }
  for (const [error] of (await write.exec()) ?? []) if (error) throw error;
}

async function synchronised(redis: Redis): Promise<void> {
  for (const end = Date.now() + SYNC_MS; ; await new Promise((r) => setTimeout(r, 100))) {
    const info = await redis.info('replication');
    if (info.includes('master_link_status:up') && info.includes('master_sync_in_progress:0')) return;
    if (Date.now() > end) throw new Error('Redis could not be copied: the replica does not get what the live one has');
  }
}

/** Distinct pages of keys, as bytes: not all are text. */
async function* keysOf(redis: Redis): AsyncGenerator<Buffer[]> {
  const seen = new Set<string>();
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scanBuffer(cursor, 'COUNT', PAGE);
    const fresh = keys.filter((key) => !seen.has(key.toString('latin1')));
    for (const key of fresh) seen.add(key.toString('latin1'));
    if (fresh.length > 0) yield fresh;
    cursor = next.toString();
    if (cursor === '0') return;
  }
}
