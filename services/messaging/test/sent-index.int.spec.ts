import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withServers } from '#tools/testkit/with-servers.ts';
import { SentIndex } from '../src/store/sent-index.ts';
import { tokens } from './channel-rig.ts';

const servers = withServers({ redis: true });
let redis: Redis;
beforeAll(() => {
  redis = new Redis(servers.redis.url);
});
afterAll(() => redis.disconnect());

const ADDRESS = 'oSimulated_OpenId-0000000001';
let now = Date.parse('2026-05-05T12:00:00Z');
const channel = 'wechat_template';
const about = (key: string) => ({ customerId: 'c1', key, channel });

it('finds a message by the provider’s number of it, or as the only one without', async () => {
  const index = new SentIndex(redis, tokens, () => now);
  const find = (id: string, toldMs = now) => index.find(channel, ADDRESS, id, toldMs);
  expect(await find('1')).toBeUndefined();
  await index.begun(ADDRESS, about('k1'));
  await index.taken(ADDRESS, about('k1'), '1');
  expect(await find('1')).toEqual(about('k1'));
  expect(await find('2')).toBeUndefined();
  // Its answer is lost: a number nobody knows can only be its own, and is from then on.
  await index.begun(ADDRESS, about('k2'));
  expect(await find('7')).toEqual(about('k2'));
  expect(await find('7')).toEqual(about('k2'));
  expect(await find('8')).toBeUndefined();
  // Of two nobody can say.
  await index.begun(ADDRESS, about('k3'));
  await index.begun(ADDRESS, about('k4'));
  expect(await find('9')).toBe('unsure');
  await index.refused(ADDRESS, about('k4'));
  expect(await find('9')).toEqual(about('k3'));
  // What is told long afterwards is about something else.
  await index.begun(ADDRESS, about('k5'));
  now += 3_600_000;
  expect(await find('10')).toBeUndefined();
  expect(await index.find('wechat_subscribe', ADDRESS, '1', now)).toBeUndefined();
  const keys = await redis.keys('messaging:sent:*');
  expect(keys.join()).not.toContain(ADDRESS);
  for (const key of keys) expect(await redis.ttl(key)).toBeGreaterThan(80_000);
});
