// From orders over a run to traits: built services on real NATS and Redis. What a run says comes back by the log, as traits that
// profiles show and segments ask for; told again without change it is not told.

import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { type PredictionRun, PredictionServiceClient } from '#gen/recur/analytics/v1/prediction_service.ts';
import { Commerce, Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { cdnowOrders } from './cdnow.ts';

const servers = withServers({ nats: true, redis: true });
const services: SpawnedService[] = [];
let nats: NatsConnection;
let predictions: RpcClient<typeof PredictionServiceClient.service>;
let analytics: RpcClient<typeof AnalyticsServiceClient.service>;
let profile: RpcClient<typeof ProfileServiceClient.service>;
let segmentation: RpcClient<typeof SegmentationServiceClient.service>;

beforeAll(async () => {
  const env = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, CLOCK: 'event' };
  for (const name of ['identity', 'profile', 'segmentation', 'analytics']) services.push(await spawnService(name, env));
  const settings = { token: testSecrets().apiToken, deadlineMs: 60_000 };
  const address = (name: string) => services.find((s) => s.name === name)?.grpcAddr ?? '';
  profile = createClient(ProfileServiceClient, address('profile'), settings);
  segmentation = createClient(SegmentationServiceClient, address('segmentation'), settings);
  predictions = createClient(PredictionServiceClient, address('analytics'), settings);
  analytics = createClient(AnalyticsServiceClient, address('analytics'), settings);
  nats = await connect({ servers: servers.nats.url });
}, 180_000);
afterAll(async () => {
  for (const client of [profile, segmentation, predictions, analytics]) client?.close();
  await nats?.close();
  await Promise.all(services.map((s) => s.stop()));
});

async function send(events: readonly Partial<Event>[]): Promise<void> {
  for (let i = 0; i < events.length; i += 500) {
    const records = events.slice(i, i + 500).map((event) =>
      Record.fromPartial({
        kind: RecordKind.RECORD_KIND_EVENT,
        timeMs: event.timeMs ?? 0,
        body: Buffer.from(Event.encode(Event.fromPartial(event)).finish()),
      }),
    );
    await jetstream(nats).publish(subjects.ingest(LANE), Frame.encode(Frame.fromPartial({ records })).finish());
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`still not so: ${what}. ${services.map((s) => s.logs(5)).join('\n')}`);
    await new Promise((r) => setTimeout(r, 100));
  }
}

async function run(runId: string): Promise<PredictionRun | undefined> {
  let made: PredictionRun | undefined;
  const request = { runId, asOf: '', horizonDays: 90 };
  for await (const { run: ended } of predictions.runPredictions(request, { deadlineMs: 100_000 })) made = ended ?? made;
  return made;
}

const eventsStored = async () => (await analytics.getSummary({ asOfMs: 0, rfm: undefined })).events;

it('predictions become traits, by the log, once', { timeout: 240_000 }, async () => {
  const some = cdnowOrders().filter((o) => Number(o.customer) <= 800);
  const orders = some
    .map((o, i) => ({
      messageId: `m${i}`,
      type: EventType.EVENT_TYPE_TRACK,
      name: 'Order Completed',
      timeMs: o.timeMs,
      receivedAtMs: o.timeMs,
      source: 'web',
      identifiers: [{ type: 'user_id', hash: Buffer.from(o.customer.padStart(16, '0')) }],
      commerce: Commerce.fromPartial({ orderId: `o${i}`, amountMicros: Math.round(o.amount * 1e6), currency: 'USD' }),
    }))
    .sort((a, b) => a.timeMs - b.timeMs);
  await send(orders);
  await until('all orders are stored', async () => (await eventsStored()) >= orders.length);

  const first = await run('first');
  expect(first?.reason).toBe('');
  expect(first?.toldCustomers).toBe(first?.customers);
  await until('traits are stored', async () => (await eventsStored()) >= orders.length + (first?.toldCustomers ?? 0));

  const { predictions: said } = await predictions.listPredictions({
    runId: 'first',
    customerIds: [],
    pageSize: 5,
    pageToken: '',
  });
  expect(said.length).toBe(5);
  for (const p of said) {
    const lastSeen = orders.at(-1)?.timeMs ?? 0;
    await until(`the profile of ${p.customerId} has it`, async () => {
      const { profile: found } = await profile.getProfile({
        customer: { $case: 'customerId', value: p.customerId },
        readMask: [],
      });
      const churn = found?.traits.find((t) => t.name === 'churn_score');
      expect(found?.lastSeenMs).toBeLessThanOrEqual(lastSeen);
      return Number(churn?.valueJson) === Math.round((p.churnScore ?? 0) * 100) / 100;
    });
  }
  const rule = Rule.fromPartial({ trait: { name: 'churn_score', number: { atLeast: 0.5 } } });
  const { matched, evaluated } = await segmentation.evaluateSegment({
    segment: Segment.fromPartial({ rule }),
    sampleSize: 0,
  });
  expect(matched).toBeGreaterThan(0);
  expect(evaluated).toBeGreaterThan(matched);

  const again = await run('again');
  expect(again?.toldCustomers).toBe(0);
});
