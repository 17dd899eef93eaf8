import type { Redis } from 'ioredis';
import type { Difference } from './compare.ts';

/** Writes what the fold gives, as long as ARGV[1] owns the lane. */
const REPAIR = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end
for i = 2, #KEYS do
  local a = i * 4 - 6
  local op, field, value, seconds = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  if op == 'SET' then redis.call('SET', KEYS[i], value)
  elseif op == 'DEL' then redis.call('DEL', KEYS[i])
  elseif op == 'HSET' then redis.call('HSET', KEYS[i], field, value)
  else redis.call('HDEL', KEYS[i], field) end
  if seconds ~= '0' then redis.call('EXPIRE', KEYS[i], seconds) end
end
return 'OK'`;
const PAGE = 500;

export async function repair(live: Redis, tag: string, token: string, differences: readonly Difference[]) {
  for (let from = 0; from < differences.length; from += PAGE) {
    const page = differences.slice(from, from + PAGE);
    const keys = page.map(({ key }) => Buffer.concat([Buffer.from(tag), key]));
    const values = page.flatMap(({ id, want, seconds }) => {
      const op = `${id ? 'H' : ''}${want === null ? 'DEL' : 'SET'}`;
      return [op, id ?? '', want ?? '', String(seconds)];
    });
    const answer = await live.eval(REPAIR, keys.length + 1, `${tag}:owner`, ...keys, token, ...values);
    if (answer !== 'OK') throw new Error(`${tag}: another owner has taken over; nothing more was written, try again`);
  }
}
