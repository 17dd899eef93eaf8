import { status } from '@grpc/grpc-js';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SegmentChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import {
  HoldOutSettings,
  LifecycleSettings,
  type ReplenishmentRhythm,
  RfmMethod,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { isHeldOut } from '#lib/buckets/buckets.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame, encodeFrame } from '#lib/stream/frames.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { RFM_KEPT } from '../src/core/looks.ts';
import { Refresh } from '../src/refresh.ts';
import { Catalogue } from '../src/store/catalogue.ts';
import { openStores } from '../src/store/definition-stores.ts';
import { openStates } from '../src/store/states.ts';

const PARTITIONS = 4;
const servers = withServers({ nats: true, redis: true });
let profile: SpawnedService;
let service: SpawnedService;
let nats: NatsConnection;
let api: ReturnType<typeof createClient<(typeof SegmentationServiceClient)['service']>>;

beforeAll(async () => {
  const env = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) };
  // It reads what profile tells.
  profile = await spawnService('profile', env);
  service = await spawnService('segmentation', env);
  nats = await connect({ servers: servers.nats.url });
  api = createClient(SegmentationServiceClient, service.grpcAddr, {
    token: testSecrets().apiToken,
    deadlineMs: 15_000,
  });
}, 120_000);

afterAll(async () => {
  api?.close();
  await nats?.close();
  await service?.stop();
  await profile?.stop();
});

/** As identity writes it. */
async function happen(customerId: string, event: object): Promise<void> {
  const now = Date.now();
  const body = Event.encode(Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, timeMs: now, ...event })).finish();
  const record = {
    customerId,
    kind: RecordKind.RECORD_KIND_EVENT,
    timeMs: now,
    originSeq: 0,
    originIndex: 0,
    fromTimer: false,
    body,
  };
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
  await jetstream(nats).publish(subjects.log(partitionOf(customerId, PARTITIONS), 'event'), frame);
}

const order = (orderId: string, amount: number) => ({
  name: 'Order Completed',
  commerce: { orderId, amountMicros: amount * 1e6, currency: 'CNY' },
});

/** Every change told about a customer so far, with its moment. */
async function told(customerId: string): Promise<{ what: string; timeMs: number }[]> {
  const jsm = await jetstreamManager(nats);
  const subject = subjects.log(partitionOf(customerId, PARTITIONS), 'segment');
  const found: { what: string; timeMs: number }[] = [];
  for (let seq = 1; ; ) {
    const message = await jsm.direct.getMessage(STREAMS.log.name, { seq, next_by_subj: subject });
    if (message === null) return found;
    for (const { customerId: of, kind, body, timeMs } of decodeFrame(message.data).records) {
      if (of !== customerId || kind !== RecordKind.RECORD_KIND_SEGMENT) continue;
      const { entered, segmentId } = SegmentChange.decode(body);
      found.push({ what: `${entered ? '+' : '-'} ${segmentId}`, timeMs });
    }
    seq = message.seq + 1;
  }
}

const segmentsOf = async (customerId: string) =>
  (await api.listCustomerSegments({ customerId })).segments.map(({ segmentId }) => segmentId);

async function create(id: string, rule: object, requestId = '') {
  return api.createSegment({ segment: Segment.fromPartial({ id, displayName: `The ${id}`, rule }), requestId });
}

test('a bad rule is refused with its place; a good one once, however often it is sent', async () => {
  const bad = create('bad', { all: [{ identified: true }, { event: { name: 'page', days: 4000 } }] });
  await expect(bad).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
    violations: [{ field: 'rule.all[1].event.days', description: '4000 must be between 1 and 400' }],
  });
  const first = await create('buyers', { orders: { count: { atLeast: 1 } } }, 'r-1');
  const again = await create('buyers', { orders: { count: { atLeast: 1 } } }, 'r-1');
  expect(again).toEqual(first);
  await expect(create('buyers', { identified: true })).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
});

test('an order makes a member within a second; the 360° part of it can be read', async () => {
  const begun = Date.now();
  await happen('01a', order('o1', 120));
  await expect.poll(() => told('01a'), { timeout: 5_000, interval: 50 }).toMatchObject([{ what: '+ buyers' }]);
  expect(Date.now() - begun).toBeLessThan(1_000);
  // Told first, stored a moment later.
  await expect.poll(() => segmentsOf('01a').catch(() => []), { timeout: 1_000, interval: 10 }).toContain('buyers');
  const state = await api.listCustomerSegments({ customerId: '01a' });
  expect(state).toMatchObject({
    segments: [{ segmentId: 'buyers', displayName: 'The buyers' }],
    rfm: { id: 'general_develop', chineseName: '一般发展', reason: expect.stringContaining('F 1 <= 1') },
    lifecycle: { id: 'first_purchase' },
  });
  await expect(api.listCustomerSegments({ customerId: '01nobody' })).rejects.toMatchObject({ code: status.NOT_FOUND });
});

test('a member leaves by time alone, within a second of the moment', async () => {
  const seconds = 3;
  await create('just-ordered', { orders: { daysSinceLast: { lessThan: seconds / 86_400 } } });
  await happen('01b', order('o2', 10));
  await expect
    .poll(() => segmentsOf('01b').catch(() => []), { timeout: 5_000, interval: 50 })
    .toContain('just-ordered');
  await expect
    .poll(async () => (await told('01b')).at(-1)?.what, { timeout: 10_000, interval: 50 })
    .toBe('- just-ordered');
  const noticed = Date.now();
  const changes = await told('01b');
  const entered = changes.find(({ what }) => what === '+ just-ordered')?.timeMs ?? 0;
  const left = changes.at(-1)?.timeMs ?? 0;
  // Entered at the log's time of the order, left `seconds` after the order's own time.
  expect(left - entered).toBeGreaterThan(seconds * 1000 - 1_000);
  expect(left - entered).toBeLessThanOrEqual(seconds * 1000);
  expect(noticed - left).toBeLessThan(1_500);
});

test('a new segment finds those who are there; one in use cannot be deleted; a circle is refused', async () => {
  await create('big-spenders', { all: [{ segment: 'buyers' }, { orders: { netMicros: { atLeast: 100e6 } } }] });
  await expect.poll(() => segmentsOf('01a'), { timeout: 10_000 }).toContain('big-spenders');
  expect(await segmentsOf('01b')).not.toContain('big-spenders');
  const members = [];
  for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
    const page = await api.listSegmentMembers({ segmentId: 'big-spenders', pageSize: 10, pageToken });
    members.push(...page.members.map(({ customerId }) => customerId));
    pageToken = page.nextPageToken;
  }
  expect(members).toEqual(['01a']);

  await expect(api.deleteSegment({ id: 'buyers', revision: 0, requestId: '' })).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    message: expect.stringContaining('big-spenders'),
  });
  const circle = Segment.fromPartial({ id: 'buyers', rule: { segment: 'big-spenders' } });
  await expect(api.updateSegment({ segment: circle, updateMask: ['rule'], requestId: '' })).rejects.toMatchObject({
    violations: [{ field: 'rule.segment', description: expect.stringContaining('buyers -> big-spenders -> buyers') }],
  });
  await api.deleteSegment({ id: 'big-spenders', revision: 0, requestId: '' });
  await expect.poll(() => segmentsOf('01a'), { timeout: 10_000 }).not.toContain('big-spenders');
});

test('a preview counts without saving', async () => {
  const preview = await api.evaluateSegment({
    segment: Segment.fromPartial({
      rule: { all: [{ segment: 'buyers' }, { orders: { netMicros: { moreThan: 50e6 } } }] },
    }),
    sampleSize: 20,
  });
  expect(preview).toMatchObject({ matched: 1, evaluated: 2, complete: true, sampleCustomerIds: ['01a'] });
  const { segments } = await api.listSegments({ pageSize: 100, pageToken: '' });
  expect(segments.map(({ id }) => id)).toEqual(['buyers', 'just-ordered']);
});

test('other thresholds change classes; the population under them can be looked at first', async () => {
  const settings = RfmSettings.fromPartial({ recencyDays: 30, monetaryMicros: 100e6 });
  const preview = await api.evaluateRfmSettings({ settings });
  expect(preview).toMatchObject({ evaluated: 2, complete: true, frequency: { mean: 1 } });
  expect(preview.customers).toMatchObject({ important_value: 1, general_value: 1, lost: 0 });
  await api.updateRfmSettings({ settings, requestId: 's-1' });
  await expect
    .poll(async () => (await api.listCustomerSegments({ customerId: '01a' })).rfm?.id, { timeout: 10_000 })
    .toBe('important_value');
  const bad = api.updateRfmSettings({ settings: { ...settings, recencyDays: 0 }, requestId: '' });
  await expect(bad).rejects.toMatchObject({ violations: [{ field: 'recency_days' }] });
});

test('quantiles are cut by the customers there are, and anew when the distribution has moved', async () => {
  for (let i = 1; i <= 10; i++) await happen(`01q${i}`, order(`q${i}`, i * 100));
  await expect.poll(() => segmentsOf('01q10').catch(() => []), { timeout: 5_000 }).toContain('buyers');
  const settings = RfmSettings.fromPartial({ method: RfmMethod.RFM_METHOD_QUANTILES, bins: 2, recencyDays: 30 });
  const { settings: stored } = await api.updateRfmSettings({ settings, requestId: 'q-1' });
  // Two of before, of 120 and 10, and these: the median of 10, 100, 120, 200 … 1,000.
  expect(stored?.cutPoints).toMatchObject({ frequency: [1], monetaryMicros: [450e6], customers: 12, partial: false });
  const rfm = async (customerId: string) => {
    const { rfm: found, rfmScores } = await api.listCustomerSegments({ customerId });
    return { id: found?.id, reason: found?.reason, money: rfmScores?.monetaryScore, of: rfmScores?.settings?.revision };
  };
  const reason = expect.stringMatching(/M 500.00 > 450.00 .*quantiles of 12 customers, revision \d+$/);
  await expect.poll(() => rfm('01q5'), { timeout: 5_000 }).toMatchObject({ money: 2, of: stored?.revision, reason });
  expect((await rfm('01q4')).money).toBe(1);

  const catalogue = new Catalogue();
  const { rfm: store } = await openStores(nats, 1, catalogue);
  const followed = watchDefinitions(nats, ['rfm']);
  await catalogue.follow(followed);
  const redis = new Redis(servers.redis.url);
  const states = openStates(redis, PARTITIONS, 'live');
  let clock = Date.now();
  const refresh = new Refresh({
    ...{ kept: RFM_KEPT, kind: 'rfm', message: RfmSettings, store, current: () => catalogue.rfm },
    ...{ learn: catalogue.apply.bind(catalogue), mine: () => true, logger: pino({ level: 'silent' }) },
    states: { ...states, clock: () => clock },
  });
  for (let i = 1; i <= 4; i++) await happen(`01r${i}`, order(`r${i}`, 5_000));
  await expect.poll(() => segmentsOf('01r4').catch(() => []), { timeout: 5_000 }).toContain('buyers');
  await refresh.look();
  // An hour has not passed.
  expect(catalogue.rfm.revision).toBe(stored?.revision);
  clock += 3_600_000;
  await refresh.look();
  expect(catalogue.rfm.cutPoints).toMatchObject({ monetaryMicros: [650e6], customers: 16 });
  await expect.poll(() => rfm('01q5'), { timeout: 5_000 }).toMatchObject({ money: 1 });
  const { revision } = catalogue.rfm;
  clock += 3_600_000;
  await refresh.look();
  expect(catalogue.rfm.revision).toBe(revision);
  followed.stop();
  redis.disconnect();
});

test('a rhythm is looked for as soon as it is asked for; what is typical cannot be said by the caller', async () => {
  const settings = LifecycleSettings.fromPartial({
    ...{ activeOrders: 2, loyalOrders: 5, atRiskDays: 60, lostDays: 180 },
    ...{ rhythm: { overdueFactor: 2 }, typical: [{ category: 'tea', days: 1, intervals: 99 }] },
  });
  const { settings: stored } = await api.updateLifecycleSettings({ settings, requestId: 'l-1' });
  expect(stored).toMatchObject({ rhythm: { overdueFactor: 2 }, typical: [] });
  expect(stored?.typicalTimeMs).toBeGreaterThan(Date.now() - 60_000);
  expect((await api.getLifecycleSettings({})).settings).toEqual(stored);
  expect((await api.updateLifecycleSettings({ settings, requestId: 'l-1' })).settings).toEqual(stored);
  const bad = { ...settings, rhythm: { ...settings.rhythm, overdueFactor: 0.5 } as ReplenishmentRhythm };
  await expect(api.updateLifecycleSettings({ settings: bad, requestId: '' })).rejects.toMatchObject({
    violations: [{ field: 'rhythm.overdue_factor', description: '0.5 must be between 1 and 10' }],
  });
});

test('the hold-out of the shop is set, refused when too large, and read by rules at once', async () => {
  const bad = api.updateHoldOutSettings({ settings: HoldOutSettings.fromPartial({ percent: 51 }), requestId: '' });
  await expect(bad).rejects.toMatchObject({ violations: [{ field: 'percent' }] });
  const held = Segment.fromPartial({ rule: { holdOut: true } });
  expect((await api.evaluateSegment({ segment: held, sampleSize: 20 })).matched).toBe(0);
  const settings = HoldOutSettings.fromPartial({ percent: 50, salt: 'int' });
  const { settings: stored } = await api.updateHoldOutSettings({ settings, requestId: 'h-1' });
  expect((await api.getHoldOutSettings({})).settings).toEqual(stored);
  const preview = await api.evaluateSegment({ segment: held, sampleSize: 20 });
  expect(preview.sampleCustomerIds.length).toBe(preview.matched);
  expect(preview.matched).toBeGreaterThan(0);
  for (const id of preview.sampleCustomerIds) expect(isHeldOut(settings, id)).toBe(true);
  await create('held', { holdOut: true });
  const [one = ''] = preview.sampleCustomerIds;
  await expect.poll(() => segmentsOf(one), { timeout: 5_000 }).toContain('held');
  await api.deleteSegment({ id: 'held', revision: 0, requestId: '' });
});

test('after kill -9 everything goes on: nothing lost, nothing told twice', async () => {
  for (let i = 0; i < 5; i++) await happen(`01k${i}`, order(`k${i}`, 10));
  await service.kill9();
  for (let i = 5; i < 10; i++) await happen(`01k${i}`, order(`k${i}`, 10));
  await service.restart();
  for (let i = 0; i < 10; i++) {
    await expect.poll(() => segmentsOf(`01k${i}`).catch(() => []), { timeout: 30_000 }).toContain('buyers');
    expect((await told(`01k${i}`)).filter(({ what }) => what === '+ buyers')).toHaveLength(1);
  }
}, 90_000);

test('a tag of profile makes a member; what profile does not know is refused, and it keeps what is read', async () => {
  const definitions = createClient(ProfileDefinitionServiceClient, profile.grpcAddr, { token: testSecrets().apiToken });
  const tag = Tag.fromJSON({
    id: 'gold',
    family: 'TAG_FAMILY_BASIC',
    englishName: 'Gold',
    chineseName: '金卡',
    levels: [{ rule: { condition: { input: { trait: 'tier' }, equals: 'gold' } } }],
  });
  await definitions.createTag({ tag, requestId: 'tag' });
  await expect(create('golden', { not: { tag: { id: 'gould' } } })).rejects.toMatchObject({
    violations: [{ field: 'rule.not.tag.id', description: 'there is no tag "gould"' }],
  });
  await expect
    .poll(() =>
      create('golden', { tag: { id: 'gold' } }, 'golden').then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  const traits = [{ name: 'tier', json: Buffer.from('"gold"') }];
  await happen('01tag', { type: EventType.EVENT_TYPE_IDENTIFY, traits });
  await expect.poll(() => segmentsOf('01tag'), { timeout: 5_000, interval: 50 }).toContain('golden');
  const preview = await api.evaluateSegment({
    segment: Segment.fromPartial({ id: 'p', displayName: 'P', rule: { tag: { id: 'gold' } } }),
    sampleSize: 5,
  });
  expect(preview).toMatchObject({ matched: 1, sampleCustomerIds: ['01tag'] });
  const deleted = definitions.deleteTag({ id: 'gold', revision: 0, requestId: 'gone' });
  await expect(deleted).rejects.toMatchObject({ message: expect.stringContaining('segment "golden"') });
  definitions.close();
  await api.deleteSegment({ id: 'golden', revision: 0, requestId: '' });
});
