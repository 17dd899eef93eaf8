import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTemplate, SIGNED_UP, startJourney } from '#tools/bench/definitions.ts';
import { Collector } from '#tools/collector/collector.ts';
import { until } from '#tools/library/progress.ts';
import { sql } from '#tools/library/sql.ts';
import { mailsIn } from './mails.ts';
import { searchLogs, searchStreams, searchTables } from './personal-data.ts';
import { ShopCluster } from './shop-cluster.ts';

/**
 * Nobody can be found by what is written down about them: not in logs, not in streams, not in ClickHouse, not in spans. The cluster
 * says all it can say, and meets what makes programs talk: bad requests, unknown people, a provider that refuses.
 */
const EMAIL = 'wang.xiulan.1987@private-mail.example';
const PHONE = '+86 138 0013 7788';
const WECHAT = 'oGZUI0egBJY1zhBYw2KhdUfwVJJE';
const NAME = '王秀兰';
const STREET = 'Nanjing East Road 1188';
/** As they were sent, and as programs write them. */
const WORDS = [EMAIL, 'wang.xiulan.1987', PHONE, '8613800137788', '13800137788', WECHAT, NAME, STREET];

let collector: Collector;
let shop: ShopCluster;

async function send(path: string, body: unknown): Promise<number> {
  const { ingestHttp, writeKey } = shop.endpoints;
  const authorization = `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}`;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  let status = 0;
  // 503 is a busy machine's: sent again, as senders do.
  await until('an answer', async () => {
    ({ status } = await fetch(`${ingestHttp}${path}`, { method: 'POST', headers: { authorization }, body: text }));
    return status !== 503;
  });
  return status;
}

const context = { externalIds: [{ type: 'openid_wx1', id: WECHAT, collection: 'users', encoding: 'none' }] };
const traits = { email: EMAIL, phone: PHONE, name: NAME, address: { street: STREET, city: 'Shanghai' } };

beforeAll(async () => {
  collector = await Collector.start();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: 'always_on',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  shop = await ShopCluster.start({ clock: 'live', partitions: 1, env, logLevel: 'trace', readyTimeoutMs: 300_000 });
  await createTemplate(shop.api, 'signed_up', 'Welcome');
  await startJourney(shop.api, SIGNED_UP);
  await shop.quiescence.defined({ journey: 1, messaging: 1 });
});
afterAll(async () => {
  await shop?.stop();
  await collector?.stop();
});

test('a person comes, is mailed, and asked about, with all that goes wrong on the way', async () => {
  const { endpoints, api } = shop;
  await fetch(`${endpoints.mailboxHttp}/api/v1/chaos`, { method: 'PUT', body: '{"refuse": 1}' });
  expect(await send('/v1/identify', { userId: 'u-1', traits, context })).toBe(200);
  expect(await send('/v1/track', { userId: 'u-1', event: 'Signed Up', context: { ...context, traits } })).toBe(200);
  expect(
    await send('/v1/track', {
      userId: 'u-1',
      event: 'Order Completed',
      properties: {
        order_id: 'o',
        total: 9,
        currency: 'CNY',
        email: EMAIL,
        shipping_address: { street: STREET },
        openid_wx1: WECHAT,
      },
    }),
  ).toBe(200);
  // Somebody else, known by the same address as an id.
  expect(await send('/v1/track', { userId: EMAIL, event: 'Product Viewed', context: { traits: { name: NAME } } })).toBe(
    200,
  );
  // Refused, with what is wrong; the answers are the sender's, our logs are not.
  expect(await send('/v1/identify', `{"userId": "${EMAIL}", "traits": {`)).toBe(400);
  expect(await send('/v1/track', { userId: EMAIL, event: 5, properties: { phone: PHONE } })).toBe(400);
  expect(await send(`/v1/${EMAIL}?phone=${encodeURIComponent(PHONE)}`, {})).toBe(404);
  await until('the mail', async () => (await mailsIn(endpoints.mailboxHttp)).length > 0);
  await shop.quiescence.reached('everything');
  expect(await mailsIn(endpoints.mailboxHttp)).toEqual([expect.stringContaining(EMAIL)]);

  for (const [type, value] of [
    ['email', EMAIL],
    ['phone', PHONE],
    ['openid_wx1', WECHAT],
  ] as const) {
    const customer = { $case: 'identifier' as const, value: { type, value } };
    const readMask = ['traits', 'identifiers', 'messages', 'timeline', 'journeys'];
    await until(`who has this ${type}`, async () => {
      const { profile } = await api.profile.getProfile({ customer, readMask });
      return profile?.customerId !== '';
    });
  }
  const unknown = { $case: 'identifier' as const, value: { type: 'email', value: `not.${EMAIL}` } };
  await expect(api.profile.getProfile({ customer: unknown, readMask: [] })).rejects.toThrow();
  const noSuchType = { $case: 'identifier' as const, value: { type: 'no such type', value: PHONE } };
  await expect(api.profile.getProfile({ customer: noSuchType, readMask: [] })).rejects.toThrow();
  await sql(endpoints.clickhouseHttp, `SELECT count() AS n FROM events WHERE name = '${EMAIL}'`);
});

test('and is nowhere in the clear', async () => {
  const { endpoints, cluster } = shop;
  const logs = searchLogs(cluster.dir, WORDS);
  const streams = await searchStreams(endpoints.natsUrl, WORDS);
  const tables = await searchTables(endpoints.clickhouseHttp, WORDS);
  expect([...logs.findings, ...streams.findings, ...tables.findings]).toEqual([]);
  expect(logs.looked).toBeGreaterThan(5_000);
  expect(streams.looked).toBeGreaterThan(20);
  expect(tables.looked).toBeGreaterThan(50);
  expect(collector.spans.length).toBeGreaterThan(20);
  for (const word of WORDS) expect(JSON.stringify(collector.spans)).not.toContain(word);
});

test('what is planted is found: in a log, in the streams, in ClickHouse', async () => {
  const { endpoints, cluster } = shop;
  const planted = 'planted.on.purpose@example.com';
  // A property that nobody would look for a person in is kept as it is.
  expect(await send('/v1/track', { userId: 'u-2', event: 'Signed Up', properties: { note: `ask ${planted}` } })).toBe(
    200,
  );
  await shop.quiescence.reached('what is planted');
  appendFileSync(join(cluster.dir, 'logs', 'planted.log'), `{"msg":"sent to ${planted}"}\n`);
  const where = (findings: readonly { where: string }[]) => findings.map((finding) => finding.where).sort();
  expect(where(searchLogs(cluster.dir, [planted]).findings)).toEqual(['log planted.log']);
  expect(where((await searchStreams(endpoints.natsUrl, [planted])).findings)).toEqual(['stream INGEST', 'stream LOG']);
  expect(where((await searchTables(endpoints.clickhouseHttp, [planted])).findings)).toContain('table events');
});
