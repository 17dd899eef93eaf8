import { createWriteStream } from 'node:fs';
import { Redis } from 'ioredis';
import { keysOfDump } from './rdb.ts';
import { receiveDump } from './replica.ts';

/** Who owns what belongs to the processes that run now, and a rebuild's scratch to nobody. */
const PASSING = /(^replicas:|^\{replicas:|:lease$|:owner$|^rebuild:)/;
const lasts = ({ key }: { key: Buffer }) => !PASSING.test(key.toString('latin1'));

const TOGETHER = 1_000;

/**
 * Copies a Redis as it is at one moment: as a replica that begins to follow it is given everything, and then does not follow. The
 * live one goes on.
 * @param file gets the dump, in Redis's own format
 */
export async function saveRedis(url: string, file: string): Promise<{ keys: number }> {
  await receiveDump(url, createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  let keys = 0;
  // Read to its end: what could not be restored is found now.
  for await (const page of keysOfDump(file)) keys += page.filter(lasts).length;
  return { keys };
}

/** Puts what a dump holds into an empty Redis, key by key. It must be as new as the one the dump is from. */
export async function loadRedis(url: string, file: string): Promise<number> {
  const to = new Redis(url);
  let [written, lasting] = [0, 0];
  try {
    for await (const page of keysOfDump(file)) {
      const keys = page.filter(lasts);
      for (let i = 0; i < keys.length; i += TOGETHER) {
        const write = to.pipeline();
        for (const { key, expiresMs, value } of keys.slice(i, i + TOGETHER))
          if (expiresMs > 0) write.restore(key, expiresMs, value, 'ABSTTL');
          else write.restore(key, 0, value);
        for (const [error] of (await write.exec()) ?? []) if (error) throw error;
      }
      written += keys.length;
      lasting += keys.filter(({ expiresMs }) => expiresMs === 0).length;
    }
    const found = await to.dbsize();
    if (found < lasting || found > written) throw new Error(`Redis has ${found} keys after ${written} were copied`);
    return found;
  } finally {
    to.disconnect();
  }
}
