import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Event as SentEvent } from '#gen/recur/ingest/v1/event.ts';
import { IngestServiceClient } from '#gen/recur/ingest/v1/ingest_service.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import type { RpcError } from '#lib/rpc/errors.ts';
import { type Started, startServers } from '#tools/testkit/servers.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { IngestLog } from './ingest-log.ts';

type Client = RpcClient<typeof IngestServiceClient.service>;

const { EVENT_TYPE_TRACK: TRACK, EVENT_TYPE_PAGE: PAGE, EVENT_TYPE_IDENTIFY: IDENTIFY } = EventType;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const event = (fields: Partial<SentEvent>) => SentEvent.fromPartial(fields as never);
const page = (userId: string) => event({ type: PAGE, userId, messageId: `m-${userId}` });

/** The error a call fails with. */
async function failure(call: Promise<unknown>): Promise<RpcError> {
  return call.then(
    () => expect.unreachable('the call succeeded'),
    (error: RpcError) => error,
  );
}

describe.each(['live', 'event'] as const)('%s clock', (clock) => {
  let servers: Started<{ nats: true; redis: true }>;
  let ingest: SpawnedService;
  let log: IngestLog;
  let client: Client;

  beforeAll(async () => {
    servers = await startServers({ nats: true, redis: true });
    ingest = await spawnService('ingest', { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, CLOCK: clock });
    log = await IngestLog.open(servers.nats.url);
    client = createClient(IngestServiceClient, ingest.grpcAddr, { token: testSecrets().apiToken, deadlineMs: 20_000 });
  });

  afterAll(async () => {
    client?.close();
    await log?.close();
    await ingest?.stop();
    await servers?.stop();
  });

  if (clock === 'event') {
    test('the clock is advanced by a frame without records', async () => {
      const timeMs = Date.UTC(2025, 5, 1);
      const before = await log.lastSeq();
      await client.advanceClock({ timeMs });
      expect(await log.frames(before)).toMatchObject([{ watermarkMs: timeMs, records: [], throughSeq: 0 }]);
    });

    test.each([
      ['1900', Date.UTC(1900, 0)],
      ['2100', Date.UTC(2100, 0)],
      ['0', 0],
    ])('not to %s', async (_, timeMs) => {
      const error = await failure(client.advanceClock({ timeMs }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(error.violations).toMatchObject([{ field: 'time_ms' }]);
    });

    test('history keeps its times, and a record stands for its event’s', async () => {
      const timeMs = Date.UTC(1998, 3, 1);
      const before = await log.lastSeq();
      await client.sendEvent({ event: { ...page('h'), timeMs }, sentAtMs: Date.UTC(2000, 0) });
      expect((await log.frames(before))[0]?.records).toMatchObject([{ timeMs }]);
      expect(await log.events(before)).toMatchObject([{ timeMs }]);
    });
    return;
  }

  test('the live clock cannot be advanced', async () => {
    expect((await failure(client.advanceClock({ timeMs: Date.now() }))).code).toBe(status.FAILED_PRECONDITION);
  });

  test('one event, with everything', async () => {
    const before = await log.lastSeq();
    const sent = event({
      type: TRACK,
      name: 'Order Completed',
      userId: 'u1',
      externalIds: [{ type: 'openid', id: 'o-1' }],
      propertiesJson: json({ order_id: 'o1', total: '15.30', gift: true }),
      contextJson: json({ locale: 'zh-CN' }),
      timeMs: Date.now() - 60_000,
      source: 'pos',
    });
    const { messageId } = await client.sendEvent({ event: sent, sentAtMs: 0 });
    const [stored] = await log.events(before);
    expect(stored).toMatchObject({
      messageId,
      source: 'pos',
      timeMs: sent.timeMs,
      commerce: { orderId: 'o1', amountMicros: 15_300_000 },
    });
    expect(stored?.identifiers.map(({ type }) => type)).toEqual(['user_id', 'openid']);
    expect(stored?.propertiesJson.toString()).toBe('{"gift":true}');
    expect(messageId).toMatch(/^recur-/);
  });

  test('a batch, in order, with the token’s name as source', async () => {
    const before = await log.lastSeq();
    const events = Array.from({ length: 1000 }, (_, i) => page(`b${i}`));
    const { messageIds } = await client.sendEvents({ events, sentAtMs: Date.now() });
    const stored = await log.events(before);
    expect(stored.map(({ messageId }) => messageId)).toEqual(messageIds);
    expect(stored[0]?.source).toBe('local');
  });

  test('a stream is counted after all of it is stored', async () => {
    const before = await log.lastSeq();
    const requests = Array.from({ length: 40 }, (_, r) => ({
      events: Array.from({ length: 250 }, (_, i) => page(`s${r}-${i}`)),
      sentAtMs: 0,
    }));
    expect(await client.streamEvents(requests)).toEqual({ storedEvents: 10_000 });
    const ids = (await log.events(before)).map(({ messageId }) => messageId);
    expect(ids).toEqual(requests.flatMap(({ events }) => events.map(({ messageId }) => messageId)));
  });

  test('a bad event in a stream ends it with its field', async () => {
    const requests = function* () {
      yield { events: [page('ok')], sentAtMs: 0 };
      yield { events: [page('fine'), event({ type: TRACK, userId: 'u' })], sentAtMs: 0 };
      for (let i = 0; i < 200; i++) yield { events: [page(`after${i}`)], sentAtMs: 0 };
    };
    const error = await failure(client.streamEvents(requests()));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.violations).toMatchObject([{ field: 'events[1].name' }]);
  });

  const bad: [what: string, sent: Partial<SentEvent>, field: string][] = [
    ['no type', { userId: 'u' }, 'event.type'],
    ['a type nobody knows', { userId: 'u', type: 99 as never }, 'event.type'],
    ['nobody', { type: PAGE }, 'event.user_id'],
    ['no name', { type: TRACK, userId: 'u' }, 'event.name'],
    ['no JSON', { type: TRACK, userId: 'u', name: 'x', propertiesJson: Buffer.from('{') }, 'event.properties_json'],
    ['a list', { type: TRACK, userId: 'u', name: 'x', propertiesJson: Buffer.from('[]') }, 'event.properties_json'],
    ['NUL', { type: PAGE, userId: 'u\0' }, 'event.user_id'],
    [
      '__proto__',
      { type: IDENTIFY, userId: 'u', traitsJson: Buffer.from('{"a":{"__proto__":1}}') },
      'event.traits_json.a.__proto__',
    ],
    [
      'deep',
      {
        type: TRACK,
        userId: 'u',
        name: 'x',
        propertiesJson: Buffer.from(`{"a":${'['.repeat(9999)}${']'.repeat(9999)}}`),
      },
      `event.properties_json.a${'[0]'.repeat(30)}`,
    ],
    ['1900', { type: PAGE, userId: 'u', timeMs: Date.UTC(1900, 0) }, 'event.time_ms'],
    ['2100', { type: PAGE, userId: 'u', timeMs: Date.UTC(2100, 0) }, 'event.time_ms'],
    ['33 KB', { type: TRACK, userId: 'u', name: 'x', propertiesJson: json({ a: 'x'.repeat(33 * 1024) }) }, 'event'],
    ['a bad external id', { type: PAGE, externalIds: [{ type: 'Open Id', id: '1' }] }, 'event.external_ids[0].type'],
    ['a bad source', { type: PAGE, userId: 'u', source: 'a.*' }, 'event.source'],
    [
      'a bad total',
      { type: TRACK, userId: 'u', name: 'Order Completed', propertiesJson: json({ total: 'x' }) },
      'event.properties_json.total',
    ],
  ];
  test.each(bad)('refused: %s', async (_, sent, field) => {
    const before = await log.lastSeq();
    const error = await failure(client.sendEvent({ event: event(sent), sentAtMs: 0 }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
    expect(await log.lastSeq()).toBe(before);
  });

  test('no event at all', async () => {
    expect((await failure(client.sendEvent({ event: undefined, sentAtMs: 0 }))).code).toBe(status.INVALID_ARGUMENT);
    expect((await failure(client.sendEvents({ events: [], sentAtMs: 0 }))).code).toBe(status.INVALID_ARGUMENT);
  });

  test('more than 1,000 events', async () => {
    const error = await failure(
      client.sendEvents({ events: Array.from({ length: 1001 }, (_, i) => page(`x${i}`)), sentAtMs: 0 }),
    );
    expect(error.violations).toMatchObject([{ field: 'events' }]);
  });

  test('a message of more than 4 MB', async () => {
    const events = Array.from({ length: 150 }, (_, i) => ({
      ...page(`x${i}`),
      propertiesJson: json({ a: 'x'.repeat(30_000) }),
    }));
    expect((await failure(client.sendEvents({ events, sentAtMs: 0 }))).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test('nobody in particular', async () => {
    const stranger = createClient(IngestServiceClient, ingest.grpcAddr);
    expect((await failure(stranger.sendEvent({ event: page('u'), sentAtMs: 0 }))).code).toBe(status.UNAUTHENTICATED);
    stranger.close();
  });

  test('a full stream is RESOURCE_EXHAUSTED with a hint when to come back', async () => {
    await log.limitBytes((await log.bytes()) + 50);
    const error = await failure(client.sendEvents({ events: [page('f1'), page('f2')], sentAtMs: 0 }));
    await log.limitBytes(-1);
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.retryAfterMs).toBeGreaterThan(0);
  });

  test('NATS killed: UNAVAILABLE, and it goes on by itself', async () => {
    await servers.nats.kill9();
    const error = await failure(client.sendEvent({ event: page('down'), sentAtMs: 0 }));
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.retryAfterMs).toBeGreaterThan(0);
    await servers.nats.restart();
    await expect
      .poll(() => client.sendEvent({ event: page('up'), sentAtMs: 0 }).catch((e: RpcError) => e.code), {
        timeout: 20_000,
      })
      .toEqual({ messageId: 'm-up' });
  });
});
