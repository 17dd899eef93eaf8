// Rules over properties and sequences of events: segmentation, profile that counts for it, and analytics that has the history.
import { status } from '@grpc/grpc-js';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import type { RpcError } from '#lib/rpc/errors.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { partitionOf, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

const PARTITIONS = 2;
const HOUR = 3_600_000;
const servers = withServers({ nats: true, redis: true });
const services: SpawnedService[] = [];
let nats: NatsConnection;
let api: RpcClient<typeof SegmentationServiceClient.service>;
let traits: RpcClient<typeof ProfileDefinitionServiceClient.service>;

beforeAll(async () => {
  const start = async (name: string, env: Record<string, string>) => {
    const service = await spawnService(name, env, { readyTimeoutMs: 300_000 });
    services.push(service);
    return service.grpcAddr;
  };
  const env = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) };
  const profile = await start('profile', { ...env, ANALYTICS_ADDR: await start('analytics', env) });
  const segmentation = await start('segmentation', { ...env, PROFILE_ADDR: profile });
  nats = await connect({ servers: servers.nats.url });
  const settings = { token: testSecrets().apiToken, deadlineMs: 60_000 };
  api = createClient(SegmentationServiceClient, segmentation, settings);
  traits = createClient(ProfileDefinitionServiceClient, profile, settings);
}, 600_000);

afterAll(async () => {
  api?.close();
  traits?.close();
  await nats?.close();
  await Promise.all(services.map((service) => service.stop()));
});

/** As identity writes it. */
async function happen(customerId: string, name: string, agoMs: number, more: object = {}): Promise<void> {
  const timeMs = Date.now() - agoMs;
  const event = Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name, timeMs, ...more });
  const record = {
    ...{ customerId, kind: RecordKind.RECORD_KIND_EVENT, timeMs, originSeq: 0, originIndex: 0, fromTimer: false },
    body: Event.encode(event).finish(),
  };
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
  await jetstream(nats).publish(subjects.log(partitionOf(customerId, PARTITIONS), 'event'), frame);
}

const order = (orderId: string, amount: number, category: string) => ({
  commerce: {
    ...{ orderId, amountMicros: amount * 1e6, currency: 'CNY' },
    lines: [{ productId: 'p', category, quantity: 1, priceMicros: amount * 1e6 }],
  },
});

const create = async (id: string, rule: object) =>
  (await api.createSegment({ segment: Segment.fromPartial({ id, rule }), requestId: `make-${id}` })).segment;
const segmentsOf = async (customerId: string) =>
  (await api.listCustomerSegments({ customerId }).catch(() => ({ segments: [] }))).segments.map((one) => one.segmentId);
const eventually = (customerId: string, ids: readonly string[]) =>
  expect.poll(() => segmentsOf(customerId), { timeout: 30_000, interval: 50 }).toEqual(ids);

const TEA = [{ property: 'products.category', equals: 'tea' }];
const RULES = {
  'red-viewers': {
    event: { name: 'Product Viewed', days: 7, where: [{ property: 'look.colour', in: ['red', 'pink'] }] },
  },
  'tea-200': { event: { name: 'Order Completed', where: TEA, amountMicros: { atLeast: 200e6 } } },
  'no-tea': { event: { name: 'Order Completed', where: TEA, count: { atMost: 0 } } },
  quick: { sequence: { first: 'Product Added', second: 'Order Completed', withinHours: 2 } },
  abandoned: {
    all: [
      { event: { name: 'Product Added' } },
      { not: { sequence: { first: 'Product Added', second: 'Order Completed', withinHours: 2 } } },
    ],
  },
};
const viewed = (colour: string) => ({ propertiesJson: Buffer.from(JSON.stringify({ look: { colour } })) });

test('events by their properties and in sequence: of history, as it happens, shared, and taken into account before it is saved', async () => {
  await happen('anna', 'Product Viewed', 2 * 24 * HOUR, viewed('red'));
  await happen('anna', 'Order Completed', 50 * HOUR, order('o1', 150, 'tea'));
  await happen('ben', 'Product Viewed', 30 * 24 * HOUR, viewed('red'));
  await happen('ben', 'Product Viewed', HOUR, viewed('blue'));
  await happen('ben', 'Product Added', 9 * HOUR);
  await happen('ben', 'Order Completed', 8 * HOUR, order('o2', 900, 'soap'));
  await happen('cleo', 'Product Added', 9 * HOUR);
  await happen('cleo', 'Order Completed', 6 * HOUR, order('o3', 10, 'soap'));
  await expect.poll(() => api.getRfmSettings({}).then(() => segmentsOf('cleo')), { timeout: 30_000 }).toEqual([]);

  const segment = Segment.fromPartial({ rule: RULES.quick });
  // What profile has just counted segmentation reads from the log a moment later.
  await expect
    .poll(() => api.evaluateSegment({ segment, sampleSize: 5 }), { timeout: 30_000 })
    .toMatchObject({ matched: 1, evaluated: 3, complete: true, sampleCustomerIds: ['ben'] });
  for (const [id, rule] of Object.entries(RULES)) await create(id, rule);
  await eventually('anna', ['red-viewers']);
  await eventually('ben', ['no-tea', 'quick']);
  await eventually('cleo', ['abandoned', 'no-tea']);

  await happen('anna', 'Order Completed', 0, order('o4', 60, 'tea'));
  await eventually('anna', ['red-viewers', 'tea-200']);
  await happen('anna', 'Order Refunded', 0, { commerce: { orderId: 'o4', amountMicros: 20e6, currency: 'CNY' } });
  await eventually('anna', ['red-viewers']);
  await happen('cleo', 'Product Added', HOUR);
  await happen('cleo', 'Order Completed', 0, order('o5', 10, 'tea'));
  await eventually('cleo', ['quick']);
  // Somebody new did none of it.
  await happen('dora', 'Product Viewed', 0, viewed('pink'));
  await eventually('dora', ['no-tea', 'red-viewers']);
});

test('what counts for a rule is there once, is used by it, and cannot be taken from it', async () => {
  const { computedTraits } = await traits.listComputedTraits({ pageSize: 100, pageToken: '' });
  // Two rules count the same sequence.
  expect(computedTraits).toHaveLength(4);
  const again = await create('quick', RULES.quick);
  const id = again?.rule?.sequence?.countedBy ?? '';
  expect(computedTraits.map((trait) => trait.id)).toContain(id);
  const refused = await traits
    .deleteComputedTrait({ id, revision: 0, requestId: '' })
    .catch((error: RpcError) => error);
  expect(refused).toMatchObject({ code: status.FAILED_PRECONDITION });
  expect((refused as RpcError).message).toContain('segment "abandoned", segment "quick"');
});

test.each([
  [{ event: { name: 'a', where: [{ property: '', equals: 1 }] } }, 'rule.event.where[0].property'],
  [{ event: { name: 'a', where: [{ property: 'products.colour', exists: true }] } }, 'rule.event.where[0].property'],
  [{ not: { event: { name: 'a', where: [{ property: 'x' }] } } }, 'rule.not.event.where[0]'],
  [{ event: { name: 'a', where: TEA, daysSinceLast: { atLeast: 1 } } }, 'rule.event.where'],
  [{ sequence: { first: 'a', second: 'b', withinHours: 0 } }, 'rule.sequence.within_hours'],
  [{ sequence: { first: 'a', second: 'b', withinHours: 1, afterLast: true } }, 'rule.sequence.within_hours'],
  [{ sequence: { first: 'a', second: 'b', days: 3 } }, 'rule.sequence.days'],
])('%j is refused at its place, and leaves no computed trait behind', async (rule, field) => {
  const error = await create('bad', rule).catch((reason: RpcError) => reason);
  expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
  expect((error as RpcError).violations.map((one) => one.field)).toEqual([field]);
  expect((await traits.listComputedTraits({ pageSize: 100, pageToken: '' })).computedTraits).toHaveLength(4);
});
