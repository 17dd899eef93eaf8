import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { Analytics } from '@segment/analytics-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Event, EventType } from '#gen/recur/log/v1/event.ts';
import { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { type Started, startServers } from '#tools/testkit/servers.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { IngestLog } from './ingest-log.ts';

let servers: Started<{ nats: true; redis: true }>;
let ingest: SpawnedService;
let log: IngestLog;
let writeKey: string;
let hasher: IdentifierHasher;

beforeAll(async () => {
  servers = await startServers({ nats: true, redis: true });
  ingest = await spawnService('ingest', { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url });
  log = await IngestLog.open(servers.nats.url);
  writeKey = testSecrets().writeKey;
  hasher = new IdentifierHasher(keyFile('IDENTIFIER_KEY_FILE'));
});

afterAll(async () => {
  await log?.close();
  await ingest?.stop();
  await servers?.stop();
});

function keyFile(name: string): KeyRing {
  return KeyRing.parse(readFileSync(ingest.env[name] as string, 'utf8'));
}

const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = { authorization: basic(writeKey) },
) {
  const response = await fetch(ingest.httpUrl + path, { method: 'POST', body, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

const batchOf = (events: object[]) => JSON.stringify({ batch: events, sentAt: new Date() });
const page = (userId: string, more: object = {}) => ({ type: 'page', userId, messageId: `m-${userId}`, ...more });

/** Runs `send` and gives the events that are in the log because of it. */
async function logged(send: () => Promise<unknown>): Promise<Event[]> {
  const before = await log.lastSeq();
  await send();
  return log.events(before);
}

describe('SDKs, with nothing changed but the host', () => {
  test('@segment/analytics-node', async () => {
    const analytics = new Analytics({ writeKey, host: ingest.httpUrl, flushInterval: 20 });
    const failures: unknown[] = [];
    analytics.on('error', (error) => failures.push(error));
    const events = await logged(async () => {
      analytics.identify({ userId: 'u-1', traits: { email: 'Wei@Example.com', plan: 'gold' } });
      analytics.track({
        userId: 'u-1',
        event: 'Order Completed',
        properties: { order_id: 'o1', total: 15.3, products: [{ product_id: 'p', price: 15.3 }] },
      });
      analytics.page({ anonymousId: 'a-1', name: 'Home' });
      analytics.screen({ anonymousId: 'a-1', name: 'Start' });
      analytics.group({ userId: 'u-1', groupId: 'g-1' });
      analytics.alias({ userId: 'u-1', previousId: 'a-1' });
      await analytics.closeAndFlush();
    });
    expect(failures).toEqual([]);
    expect(events.map(({ type }) => type)).toEqual([1, 2, 3, 4, 5, 6]);
    const [identify, order, home] = events as [Event, Event, Event];
    expect(identify.identifiers).toEqual([
      { type: 'user_id', hash: Buffer.from(hasher.hash('user_id', 'u-1')) },
      { type: 'email', hash: Buffer.from(hasher.hash('email', 'wei@example.com')) },
    ]);
    const email = identify.traits.find(({ name }) => name === 'email');
    expect(new Sealer(keyFile('SEALING_KEY_FILE')).open(email?.sealed as Buffer).toString()).toBe('"wei@example.com"');
    expect(order.commerce).toMatchObject({ orderId: 'o1', amountMicros: 15_300_000, lines: [{ productId: 'p' }] });
    expect(home).toMatchObject({ name: 'Home', source: 'web' });
    expect(home.contextJson.toString()).toContain('analytics-node');
    expect(Math.abs(home.timeMs - Date.now())).toBeLessThan(60_000);
  });

  test('@rudderstack/rudder-sdk-node, which packs its requests', async () => {
    const { default: RudderAnalytics } = await import('@rudderstack/rudder-sdk-node');
    const rudder = new RudderAnalytics(writeKey, { dataPlaneUrl: ingest.httpUrl, flushInterval: 20 });
    const events = await logged(async () => {
      rudder.identify({ userId: 'u-2', traits: { phone: '13800138000' } });
      rudder.track({ userId: 'u-2', event: 'Product Viewed', properties: { product_id: 'p9' } });
      rudder.alias({ userId: 'u-2', previousId: 'a-2' });
      // One request after the other: the first leaves at once, the others together.
      await rudder.flush();
      await rudder.flush();
    });
    expect(events.map(({ type }) => type)).toEqual([
      EventType.EVENT_TYPE_IDENTIFY,
      EventType.EVENT_TYPE_TRACK,
      EventType.EVENT_TYPE_ALIAS,
    ]);
    // The digest is what is hashed: so whoever sends hashed numbers means the same customer.
    const digest = createHash('sha256').update('+8613800138000').digest('hex');
    expect(events[0]?.identifiers[1]?.hash).toEqual(Buffer.from(hasher.hash('phone', digest)));
    expect(events[1]?.commerce?.lines[0]?.productId).toBe('p9');
  });
});

describe('paths, keys and packing', () => {
  const event = JSON.stringify(page('k'));
  const withKey = () => JSON.stringify({ ...page('k'), writeKey });
  const cases: [what: string, send: () => ReturnType<typeof post>][] = [
    ['Basic', () => post('/v1/page', event)],
    [
      'Basic with the key as user and no colon',
      () => post('/v1/page', event, { authorization: `Basic ${Buffer.from(writeKey).toString('base64')}` }),
    ],
    ['Bearer', () => post('/v1/page', event, { authorization: `Bearer ${writeKey}` })],
    ['X-Write-Key', () => post('/v1/page', event, { 'x-write-key': writeKey })],
    ['in the body, as text/plain', () => post('/v1/p', withKey(), { 'content-type': 'text/plain' })],
    ['in the body of a batch', () => post('/v1/batch', JSON.stringify({ writeKey, batch: [page('k')] }), {})],
    [
      'in the address',
      () => post(`/beacon/v1/batch?writeKey=${encodeURIComponent(writeKey)}`, batchOf([page('k')]), {}),
    ],
    ['import', () => post('/v1/import', batchOf([page('k')]))],
    ['a batch called events', () => post('/v1/batch', JSON.stringify({ events: [page('k')] }))],
    ['Jitsu', () => post('/api/s/page', event, { 'x-write-key': writeKey })],
    ['Jitsu, from a server', () => post('/api/s/s2s/page', event, { 'x-write-key': writeKey })],
    [
      'a form content type',
      () =>
        post('/v1/page', event, {
          authorization: basic(writeKey),
          'content-type': 'application/x-www-form-urlencoded',
        }),
    ],
    ['gzip', () => post('/v1/page', gzipSync(event), { authorization: basic(writeKey), 'content-encoding': 'gzip' })],
    ['gzip that does not say so', () => post('/v1/page', gzipSync(event))],
    ['a byte order mark', () => post('/v1/page', `\ufeff${event}`)],
    ['a trailing slash', () => post('/v1/page/', event)],
  ];
  test.each(cases)('%s', async (_, send) => {
    const events = await logged(async () => {
      const { status, body, headers } = await send();
      expect(body).toEqual({ success: true });
      expect(status).toBe(200);
      expect(headers.get('access-control-allow-origin')).toBe('*');
    });
    expect(events).toMatchObject([{ messageId: 'm-k', type: 3, source: 'web' }]);
  });

  test('a browser may ask first', async () => {
    const response = await fetch(`${ingest.httpUrl}/v1/track`, {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.cn', 'access-control-request-headers': 'authorization,content-type' },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toMatch(/Authorization.*Content-Type/);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('refused, and nothing of it stored', () => {
  const big = (bytes: number) => JSON.stringify({ ...page('u'), properties: { text: 'x'.repeat(bytes) } });
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
  const events = (count: number, text = '') =>
    Array.from({ length: count }, (_, i) => page(`u${i}`, { properties: { text } }));
  const cases: [what: string, send: () => ReturnType<typeof post>, status: number, says: RegExp][] = [
    ['no key', () => post('/v1/page', '{"userId":"u"}', {}), 401, /write key/],
    [
      'a key nobody has',
      () => post('/v1/page', '{"userId":"u"}', { authorization: basic('nobody') }),
      401,
      /write key/,
    ],
    ['a key nobody has, in the body', () => post('/v1/page', '{"userId":"u","writeKey":"x"}', {}), 401, /write key/],
    ['no body', () => post('/v1/page', ''), 400, /empty/],
    ['no JSON', () => post('/v1/page', '{"userId":'), 400, /must be JSON/],
    ['a list', () => post('/v1/page', '[]'), 400, /JSON object/],
    ['no batch', () => post('/v1/batch', '{}'), 400, /batch must be a list/],
    ['an empty batch', () => post('/v1/batch', '{"batch":[]}'), 400, /at least one/],
    ['GB18030', () => post('/v1/page', Uint8Array.from([0x7b, 0x22, 0xd5, 0xc5, 0x22, 0x7d])), 400, /UTF-8/],
    [
      'broken gzip',
      () => post('/v1/page', 'no gzip', { authorization: basic(writeKey), 'content-encoding': 'gzip' }),
      400,
      /Content-Encoding/,
    ],
    [
      'a packing nobody knows',
      () => post('/v1/page', 'x', { authorization: basic(writeKey), 'content-encoding': 'zip' }),
      415,
      /gzip/,
    ],
    [
      'a gzip bomb',
      () => post('/v1/batch', bomb, { authorization: basic(writeKey), 'content-encoding': 'gzip' }),
      413,
      /512000 bytes/,
    ],
    ['an event of 33 KB', () => post('/v1/page', big(33 * 1024)), 413, /32768 bytes/],
    [
      'an event of 33 KB in a batch',
      () => post('/v1/batch', `{"batch":[${big(1)},${big(33 * 1024)}]}`),
      400,
      /Event 1 must be at most 32768/,
    ],
    ['a batch of 501 KB', () => post('/v1/batch', batchOf(events(25, 'x'.repeat(20 * 1024)))), 413, /512000 bytes/],
    ['10 MB', () => post('/v1/batch', 'x'.repeat(10 * 1024 * 1024)), 413, /512000 bytes/],
    ['1,001 events', () => post('/v1/batch', batchOf(events(1001))), 400, /at most 1000/],
    ['100,000 deep', () => post('/v1/track', '['.repeat(100_000)), 400, /must be JSON/],
    ['another path', () => post('/v1/tracks', '{}'), 404, /no "\/v1\/tracks"/],
  ];
  test.each(cases)('%s', async (_, send, status, says) => {
    const stored = await logged(async () => {
      const answer = await send();
      expect(answer.body).toMatchObject({ success: false, message: expect.stringMatching(says) });
      expect(answer.status).toBe(status);
    });
    expect(stored).toEqual([]);
  });

  test('GET', async () => {
    expect((await fetch(`${ingest.httpUrl}/v1/track`)).status).toBe(405);
  });

  test('a batch with bad events: all of them are named, none is stored', async () => {
    const stored = await logged(async () => {
      const { status, body } = await post(
        '/v1/batch',
        batchOf([page('a'), { type: 'track', userId: 'a' }, page('b', { timestamp: '1900-01-01' }), page('c')]),
      );
      expect(status).toBe(400);
      expect(body.errors).toEqual([
        { index: 1, field: 'event', value: '(absent)', rule: expect.stringContaining('1 to 200') },
        { index: 2, field: 'timestamp', value: '"1900-01-01"', rule: 'must not be before 2000-01-01' },
      ]);
    });
    expect(stored).toEqual([]);
  });
});

test('many requests at once share frames, each keeps its order', async () => {
  // Over connections that are open: what a new one takes keeps requests apart.
  await Promise.all(
    Array.from({ length: 300 }, () => fetch(`${ingest.httpUrl}/v1/track`).then((answer) => answer.text())),
  );
  const before = await log.lastSeq();
  const requests = Array.from({ length: 300 }, (_, r) => batchOf([page(`r${r}-0`), page(`r${r}-1`), page(`r${r}-2`)]));
  const answers = await Promise.all(requests.map((body) => post('/v1/batch', body)));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  const frames = await log.frames(before);
  const ids = (await log.events(before)).map(({ messageId }) => messageId);
  expect(ids).toHaveLength(900);
  expect(frames.length).toBeLessThan(30);
  for (let r = 0; r < 300; r++) {
    const places = [0, 1, 2].map((i) => ids.indexOf(`m-r${r}-${i}`));
    expect(places[0]).toBeGreaterThanOrEqual(0);
    expect(places).toEqual([places[0], (places[0] as number) + 1, (places[0] as number) + 2]);
  }
});

test('a full stream is 429 with Retry-After, until there is room again', async () => {
  const stored = await logged(async () => {
    await log.limitBytes((await log.bytes()) + 100);
    const refused = await post('/v1/batch', batchOf([page('full-1'), page('full-2')]));
    expect(refused.body).toMatchObject({ success: false, code: 'overloaded' });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await fetch(`${ingest.httpUrl}/readyz`)).status).toBe(200);
    await log.limitBytes(-1);
    expect((await post('/v1/batch', batchOf([page('full-3')]))).status).toBe(200);
  });
  expect(stored.map(({ messageId }) => messageId)).toEqual(['m-full-3']);
});

test('what it counts can be read', async () => {
  await post('/v1/identify', JSON.stringify({ userId: 'u', anonymousId: 'undefined', traits: { phone: 'none' } }));
  const metrics = await (await fetch(`${ingest.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/recur_ingest_events_total\{source="web",type="page".*\} \d+/);
  expect(metrics).toMatch(/recur_ingest_refused_requests_total\{source="web",reason="full".*\} 1/);
  expect(metrics).toMatch(/recur_ingest_dropped_identifiers_total\{type="anonymous_id",reason="blocked".*\} 1/);
  expect(metrics).toMatch(/recur_ingest_pending_bytes\{.*\} 0/);
});

test('NATS killed: 503 at once, nothing acknowledged is lost, and it goes on by itself', async () => {
  const before = await log.lastSeq();
  const acknowledged: string[] = [];
  const statuses = new Set<number>();
  let stop = false;
  const sender = async (name: string) => {
    for (let i = 0; !stop; i++) {
      const { status, headers } = await post('/v1/batch', batchOf([page(`${name}-${i}`)]));
      statuses.add(status);
      if (status === 200) acknowledged.push(`m-${name}-${i}`);
      else expect(headers.get('retry-after')).toBe('1');
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const senders = ['s1', 's2', 's3', 's4'].map(sender);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await servers.nats.kill9();
  await expect.poll(() => statuses.has(503), { timeout: 10_000 }).toBe(true);
  expect((await fetch(`${ingest.httpUrl}/readyz`)).status).toBe(503);
  expect((await fetch(`${ingest.httpUrl}/livez`)).status).toBe(200);
  const first = performance.now();
  expect((await post('/v1/page', JSON.stringify(page('down')))).status).toBe(503);
  expect(performance.now() - first).toBeLessThan(3000);
  const soFar = acknowledged.length;
  await servers.nats.restart();
  await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(soFar + 20);
  stop = true;
  await Promise.all(senders);
  expect([...statuses].toSorted()).toEqual([200, 503]);
  const stored = new Set((await log.events(before)).map(({ messageId }) => messageId));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
});

test('SIGTERM: what is under way is answered, what was answered is stored', async () => {
  const before = await log.lastSeq();
  const acknowledged: string[] = [];
  let ended = false;
  const sender = async (name: string) => {
    for (let i = 0; !ended; i++) {
      const answer = await post('/v1/batch', batchOf([page(`${name}-${i}`)])).catch(() => undefined);
      // Refused connections come once nobody listens any more; an answer is always a real one.
      if (answer === undefined) return;
      expect(answer.status).toBe(200);
      acknowledged.push(`m-${name}-${i}`);
    }
  };
  const senders = ['t1', 't2', 't3', 't4'].map(sender);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await ingest.stop();
  ended = true;
  await Promise.all(senders);
  expect(await ingest.exited).toMatchObject({ code: 0 });
  const stored = new Set((await log.events(before)).map(({ messageId }) => messageId));
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
});
