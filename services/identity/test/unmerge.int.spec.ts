import { status } from '@grpc/grpc-js';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { subjects } from '#lib/topology/topology.ts';
import fc from '#tools/testkit/fast-check.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { Lane } from './lane-model.ts';

/**
 * Built services as processes: events, merges and unmerges in any order end where the model in memory ends, in the graph, in
 * every profile, every computed trait and every segment; also when identity is killed at its worst moments. Needs `nx build`.
 */

const PARTITIONS = 3;
const RUNS = Number(process.env.PROPERTY_RUNS ?? 3);
/** Computed traits of the first runs: each is filled from the whole history. */
const SPENT = ['spent-0', 'spent-1', 'spent-2'].slice(0, RUNS);
const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let redis: Redis;
let identity: SpawnedService;
const others: SpawnedService[] = [];
const settings = { token: testSecrets().apiToken, deadlineMs: 10_000 };

const environment = () => ({
  NATS_URL: servers.nats.url,
  REDIS_URL: servers.redis.url,
  PARTITIONS: String(PARTITIONS),
  CLOCK: 'event',
});

beforeAll(async () => {
  identity = await spawnService('identity', environment());
  const analytics = await spawnService('analytics', environment());
  const peers = { ...environment(), ANALYTICS_ADDR: analytics.grpcAddr };
  for (const name of ['profile', 'segmentation'] as const) others.push(await spawnService(name, peers));
  others.push(analytics);
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
}, 120_000);

afterAll(async () => {
  redis?.disconnect();
  await nats?.close();
  for (const service of [identity, ...others]) await service?.stop();
});

const graph = () => createClient(IdentityServiceClient, identity.grpcAddr, settings);

async function send(body: Uint8Array): Promise<void> {
  const record = {
    customerId: '',
    kind: RecordKind.RECORD_KIND_EVENT,
    timeMs: 0,
    originSeq: 0,
    originIndex: 0,
    fromTimer: false,
    body,
  };
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
  const { seq } = await jetstream(nats).publish(subjects.ingest(0), frame);
  await until(async () => {
    if (!identity.running) await revive();
    return (await position('identity.0')) >= seq;
  });
}

const revive = () => identity.restart({ FAIL_POINT: undefined });

/** A call, again and again with the same request_id while identity is dead or dies of it. */
async function attempt<T>(call: (api: ReturnType<typeof graph>) => Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    if (!identity.running) await revive();
    const api = graph();
    try {
      return await call(api);
    } catch (error) {
      const { code } = error as { code?: number };
      if (left === 0 || (code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED)) throw error;
    } finally {
      api.close();
    }
  }
}

async function position(where: string): Promise<number> {
  const text = await redis.get(`{${where}}:position`);
  return text === null ? 0 : (JSON.parse(text) as { seq: number }).seq;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await done())) {
    if (Date.now() > end) throw new Error('nothing came of it within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Reads a computed trait, which profile begins anew as well. */
const RICH_FROM = 40;
const RICH = Segment.fromJSON({
  id: 'rich',
  displayName: 'Spent 40 or more',
  rule: { computedTrait: { id: 'spent-0', number: { atLeast: RICH_FROM } } },
});

/** A computed trait worth what all orders of a customer come to, filled from history. */
async function define(id: string): Promise<void> {
  const definitions = createClient(ProfileDefinitionServiceClient, others[0]?.grpcAddr ?? '', settings);
  const computedTrait = ComputedTrait.fromPartial({
    id,
    englishName: 'Spent',
    chineseName: '消费',
    events: ['Order Completed'],
    aggregation: Aggregation.AGGREGATION_SUM,
    property: 'amount',
  });
  await definitions.createComputedTrait({ computedTrait, requestId: `create-${id}` });
  await until(async () => (await definitions.getComputedTrait({ id })).completePartitions === PARTITIONS);
  definitions.close();
}

/** Until profile and segmentation have read all there is. */
async function settled(): Promise<void> {
  const jsm = await jetstream(nats).jetstreamManager();
  for (let p = 0; p < PARTITIONS; p++) {
    const { state } = await jsm.streams.info('LOG', { subjects_filter: `log.${p}.>` });
    let last = 0;
    for (const subject of Object.keys(state.subjects ?? {})) {
      if (!/\.(event|tick|definition|handover)/.test(subject)) continue;
      last = Math.max(last, (await jsm.streams.getMessage('LOG', { last_by_subj: subject }))?.seq ?? 0);
    }
    for (const stage of ['profile', 'segmentation']) await until(async () => (await position(`${stage}.${p}`)) >= last);
  }
}

const TYPES = ['phone', 'email', 'openid', 'shop_account', 'user_id', 'member_no', 'anonymous_id'];
const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        event: fc.uniqueArray(
          fc.tuple(fc.constantFrom(...TYPES), fc.nat(3)).map((t) => t.join(':')),
          { minLength: 1, maxLength: 3 },
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ unmerge: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ merge: fc.tuple(fc.nat(50), fc.nat(50)) }) },
  ),
  { minLength: 25, maxLength: 40 },
);

test(
  'the cluster ends where the model ends, whatever the order',
  async () => {
    const final = graph();
    const api = createClient(SegmentationServiceClient, others[1]?.grpcAddr ?? '', settings);
    const segment = Segment.fromJSON({
      id: 'came_back',
      displayName: 'Two orders',
      rule: { event: { name: 'Order Completed', count: { atLeast: 2 } } },
    });
    await api.createSegment({ segment, requestId: 'came-back' });
    const profiles = createClient(ProfileServiceClient, others[0]?.grpcAddr ?? '', settings);
    const lane = new Lane();
    let commands = 0;
    let unmerged = 0;
    const seed = Number(process.env.RECUR_SEED ?? Date.now() % 1_000_000);
    console.log(`RECUR_SEED=${seed}`);
    for (const [run, list] of fc.sample(steps, { numRuns: RUNS, seed }).entries()) {
      for (const [i, step] of list.entries()) {
        if (i === 12) await die(run);
        // In the middle of history: of earlier events it finds what they are told to be by now.
        if (i === 18 && run < SPENT.length) await define(`spent-${run}`);
        if (i === 18 && run === 0) await api.createSegment({ segment: RICH, requestId: 'rich' });
        if ('event' in step) {
          // Each run has people of its own; the customers of earlier runs stay around.
          const identifiers = step.event.map((text) => `${text}-${run}`);
          lane.event(identifiers);
          await send(lane.lastBody);
        } else if ('unmerge' in step) {
          const merged = lane.merged();
          const id = merged[step.unmerge % Math.max(merged.length, 1)];
          if (id === undefined) continue;
          const expected = await lane.unmerge(id);
          const requestId = `c${++commands}`;
          const asked = attempt((api) => api.unmerge({ customerId: id, reason: 'test', requestId }));
          if (expected.refusal !== '') {
            await expect(asked).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
            continue;
          }
          const answer = await asked;
          expect(answer).toMatchObject({ customerId: id, otherCustomerId: expected.otherCustomerId });
          expect(answer).toMatchObject({ events: expected.events, movedEvents: expected.movedEvents });
          unmerged++;
        } else {
          const ids = [...lane.nodes.keys()];
          const [a, b] = step.merge.map((n) => ids[n % Math.max(ids.length, 1)]);
          if (a === undefined || b === undefined) continue;
          const expected = await lane.merge(a, b);
          const request = { customerId: a, otherCustomerId: b, reason: 'test', requestId: `c${++commands}` };
          const asked = attempt((api) => api.mergeCustomers(request));
          if (expected.refusal === '') expect((await asked).customerId).toBe(expected.customerId);
          else await expect(asked).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
        }
      }
    }
    expect(unmerged).toBeGreaterThan(3);
    await settled();
    if (!identity.running) await revive();
    await define('spent-at-last');

    const holders = Map.groupBy(lane.events(), ([, customerId]) => customerId);
    for (const node of lane.nodes.values()) {
      const { identity: found } = await final.getCustomerIdentity({ customerId: node.id });
      const now = lane.node(lane.live(node.id));
      expect(found?.customerId).toBe(now.id);
      expect(found?.identified).toBe(now.identified);
      expect(found?.identifiers.map((i) => i.hash.toString()).sort()).toEqual(
        now.identifiers.map((i) => Buffer.from(i.hash).toString()).sort(),
      );
      expect(new Set(found?.absorbedCustomerIds)).toEqual(new Set(now.absorbed));
      if (node.mergedInto !== '') continue;
      const events = (holders.get(node.id) ?? []).map(([messageId]) => Number(messageId.slice(1)));
      const { profile } = await profiles.getProfile({
        customer: { $case: 'customerId', value: node.id },
        readMask: undefined,
      });
      expect({
        id: node.id,
        placed: profile?.orders?.placed ?? 0,
        gross: profile?.orders?.grossMicros ?? 0,
        identified: profile?.identified,
        identifiers: profile?.identifiers.map((i) => i.hash.toString()).sort(),
      }).toEqual({
        id: node.id,
        placed: events.length,
        gross: events.reduce((sum, n) => sum + n * 1_000_000, 0),
        identified: node.identified,
        identifiers: node.identifiers.map((i) => Buffer.from(i.hash).toString()).sort(),
      });
      // Of who was never seen with an order nothing is kept.
      const spent = events.reduce((sum, n) => sum + n, 0);
      const values = profile?.computedTraits.map((t) => [t.id, t.complete, JSON.parse(t.valueJson || '0')]);
      expect(values).toEqual([...SPENT, 'spent-at-last'].map((id) => [id, true, spent]));
      const { segments } = await api.listCustomerSegments({ customerId: node.id });
      const wanted = [...(events.length >= 2 ? ['came_back'] : []), ...(spent >= RICH_FROM ? ['rich'] : [])];
      expect(segments.map((s) => s.segmentId).sort()).toEqual(wanted);
    }
  },
  80_000 * RUNS,
);

/** Identity is to die where a batch is published or committed, with what comes next. */
async function die(n: number): Promise<void> {
  const points = ['before_publish', 'after_publish', 'before_commit', 'after_commit'];
  await identity.restart({ FAIL_POINT: `identity.${points[n % 4]}:1` });
}
