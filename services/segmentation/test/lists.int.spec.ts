// Lists kept by hand: segmentation, and identity that says who is who.
import { status } from '@grpc/grpc-js';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { CustomerList, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { type MemberKey, SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

const servers = withServers({ nats: true, redis: true });
const services: SpawnedService[] = [];
let nats: NatsConnection;
let api: RpcClient<typeof SegmentationServiceClient.service>;
let identity: RpcClient<typeof IdentityServiceClient.service>;

beforeAll(async () => {
  const env = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: '2' };
  const graph = await spawnService('identity', env);
  services.push(graph, await spawnService('profile', env));
  const segmentation = await spawnService('segmentation', { ...env, IDENTITY_ADDR: graph.grpcAddr });
  services.push(segmentation);
  nats = await connect({ servers: servers.nats.url });
  const settings = { token: testSecrets().apiToken, deadlineMs: 15_000 };
  api = createClient(SegmentationServiceClient, segmentation.grpcAddr, settings);
  identity = createClient(IdentityServiceClient, graph.grpcAddr, settings);
}, 120_000);

afterAll(async () => {
  api?.close();
  identity?.close();
  await nats?.close();
  await Promise.all(services.map((service) => service.stop()));
});

const hashOf = (name: string) => Buffer.from(name.padEnd(16, '.'));
const byHash = (name: string): MemberKey => ({
  key: { $case: 'identifier', value: { type: 'email', key: { $case: 'hash', value: hashOf(name) } } },
});
const byId = (value: string): MemberKey => ({ key: { $case: 'customerId', value } });

/** As ingest writes it. Resolves with the customer it made. */
async function signUp(name: string): Promise<string> {
  const timeMs = Date.now();
  const identifiers = [{ type: 'email', hash: hashOf(name) }];
  const event = { messageId: `m-${name}`, type: EventType.EVENT_TYPE_TRACK, name: 'Signed Up', source: 'web' };
  const body = Event.encode(Event.fromPartial({ ...event, timeMs, receivedAtMs: timeMs, identifiers })).finish();
  const nobody = { customerId: '', originSeq: 0, originIndex: 0, fromTimer: false };
  const records = [{ ...nobody, kind: RecordKind.RECORD_KIND_EVENT, timeMs, body }];
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
  await jetstream(nats).publish(subjects.ingest(LANE), frame);
  const key = { $case: 'hash', value: hashOf(name) } as const;
  const resolved = async () => {
    const found = await identity.resolveIdentifiers({ identifiers: [{ type: 'email', key }] });
    return found.results[0]?.customerId ?? '';
  };
  await expect.poll(resolved, { timeout: 10_000, interval: 20 }).not.toBe('');
  const id = await resolved();
  await expect.poll(() => segmentsOf(id), { timeout: 10_000, interval: 20 }).toBeDefined();
  return id;
}

const segmentsOf = (customerId: string) =>
  api.listCustomerSegments({ customerId }).then(
    ({ segments }) => segments.map(({ segmentId }) => segmentId),
    () => undefined,
  );
const eventually = (customerId: string, ids: readonly string[]) =>
  expect.poll(() => segmentsOf(customerId), { timeout: 10_000, interval: 20 }).toEqual(ids);
const onList = Segment.fromPartial({ id: 'invited', rule: { list: { id: 'guests' } } });

test('by customer id or identifier, once whatever is repeated; a segment reads it; merges keep it', async () => {
  const [wei, mei, lan] = [await signUp('wei'), await signUp('mei'), await signUp('lan')];
  await expect(api.createSegment({ segment: onList, requestId: 'early' })).rejects.toMatchObject({
    violations: [{ field: 'rule.list.id', description: 'there is no list "guests"' }],
  });
  const customerList = CustomerList.fromPartial({ id: 'guests', displayName: 'Opening night' });
  await api.createCustomerList({ customerList, requestId: 'guests' });
  await api.createSegment({ segment: onList, requestId: 'invited' });

  const request = {
    listId: 'guests',
    members: [byHash('wei'), byId(mei), byHash('nobody'), byId(wei)],
    requestId: 'a',
  };
  expect(await api.addListMembers(request)).toEqual({ customers: 2, unknown: [2] });
  await eventually(wei, ['invited']);
  await eventually(mei, ['invited']);
  expect(await segmentsOf(lan)).toEqual([]);
  const preview = await api.evaluateSegment({
    segment: Segment.fromPartial({ rule: { not: onList.rule } }),
    sampleSize: 5,
  });
  expect(preview).toMatchObject({ matched: 1, evaluated: 3, sampleCustomerIds: [lan] });

  expect(await api.removeListMembers({ ...request, members: [byId(wei)] })).toEqual({ customers: 1, unknown: [] });
  await eventually(wei, []);
  // The same request again: nobody comes back.
  await api.addListMembers(request);
  await api.addListMembers({ ...request, members: [byHash('lan')], requestId: 'b' });
  await eventually(lan, ['invited']);
  expect(await segmentsOf(wei)).toEqual([]);

  const merge = { customerId: mei, otherCustomerId: lan, reason: 'ticket 1', requestId: 'merge' };
  const { customerId } = await identity.mergeCustomers(merge);
  await eventually(customerId, ['invited']);
  // Who was merged into whom is read from what is stored, which may come a moment after what is told.
  let asked = 0;
  const both = { ...request, members: [byId(mei), byId(lan)] };
  const added = () => api.addListMembers({ ...both, requestId: `c-${++asked}` });
  await expect.poll(async () => (await added()).customers).toBe(1);
});

test('a merge taken back: each is on the lists they were put on, also while they were one', async () => {
  const [an, bo] = [await signUp('an'), await signUp('bo')];
  const inVip = Segment.fromPartial({ id: 'vip', rule: { list: { id: 'vips' } } });
  await api.createCustomerList({ customerList: CustomerList.fromPartial({ id: 'vips' }), requestId: 'vips' });
  await api.createSegment({ segment: inVip, requestId: 'vip' });
  await api.addListMembers({ listId: 'guests', members: [byId(an)], requestId: 'an' });
  await eventually(an, ['invited']);
  const merge = { customerId: an, otherCustomerId: bo, reason: 'ticket 2', requestId: 'merge-an-bo' };
  const { customerId: one } = await identity.mergeCustomers(merge);
  await eventually(one, ['invited']);
  await expect.poll(() => segmentsOf(bo), { timeout: 10_000, interval: 20 }).toEqual(['invited']);
  await api.addListMembers({ listId: 'vips', members: [byId(bo)], requestId: 'bo' });
  await eventually(one, ['invited', 'vip']);

  await identity.unmerge({ customerId: one === an ? bo : an, reason: 'ticket 3', requestId: 'apart' });
  await eventually(an, ['invited']);
  await eventually(bo, ['vip']);
  await api.deleteSegment({ id: 'vip', revision: 0, requestId: '' });
});

test('bad members are refused with their place; a list in use stays; another of its name begins empty', async () => {
  const bad = { listId: 'guests', members: [byId(''), { key: undefined }], requestId: 'two words' };
  await expect(api.addListMembers(bad)).rejects.toMatchObject({
    violations: [{ field: 'request_id' }, { field: 'members[0].customer_id' }, { field: 'members[1]' }],
  });
  await expect(api.addListMembers({ ...bad, members: [], requestId: 'x' })).rejects.toMatchObject({
    violations: [{ field: 'members', description: 'must have 1 to 1000 entries, has 0' }],
  });
  const unknown = api.addListMembers({ listId: 'strangers', members: [byId('x')], requestId: 'x' });
  await expect(unknown).rejects.toMatchObject({ code: status.NOT_FOUND });

  const gone = { id: 'guests', revision: 0, requestId: '' };
  await expect(api.deleteCustomerList(gone)).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    message: expect.stringContaining('segment "invited"'),
  });
  await api.deleteSegment({ id: 'invited', revision: 0, requestId: '' });
  await expect
    .poll(() =>
      api.deleteCustomerList(gone).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  await api.createCustomerList({ customerList: CustomerList.fromPartial({ id: 'guests' }), requestId: 'again' });
  const { matched, evaluated } = await api.evaluateSegment({ segment: onList, sampleSize: 0 });
  expect([matched, evaluated]).toEqual([0, 4]);
});
