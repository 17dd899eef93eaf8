import { status } from '@grpc/grpc-js';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityServiceClient, IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import { IdentityChange, Merged, ProfileChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileServiceClient, ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { createClient } from '#lib/rpc/client.ts';
import { RpcServer } from '#lib/rpc/server.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { ApiTokens } from '#lib/rpc/tokens.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { NO_DEFINITIONS } from '../src/core/computed-view.ts';
import { GrpcCustomerLookup } from '../src/peers/lookup.ts';
import { GrpcPeerParts } from '../src/peers/parts.ts';
import { ChangeStreams } from '../src/rpc/change-stream.ts';
import { ProfileHandlers } from '../src/rpc/profile-handlers.ts';
import { profileStage } from '../src/stage.ts';
import { openReading } from '../src/store/states.ts';

const PARTITIONS = 3;
const ZONE = 'Asia/Shanghai';
const servers = withServers({ nats: true, redis: true });
const logger = pino({ level: 'silent' });
const sealer = new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 5) }]));
const tokens = new ApiTokens([
  { token: 'all-of-it', name: 'admin', scopes: ['*'] },
  { token: 'profiles-only', name: 'console', scopes: ['recur.profile.v1.'] },
]);

let nats: NatsConnection;
let redis: Redis;
let stage: RunningStage;
let server: RpcServer;
let identity: RpcServer;
let address: string;

/** An identity server that knows one address, and whom it was asked by. */
async function serveIdentity(): Promise<string> {
  const { resolveIdentifiers } = IdentityServiceService;
  const identityService = rpcService(
    { resolveIdentifiers },
    {
      resolveIdentifiers: ({ identifiers }, call) => {
        askedBy.push(call.principal.name);
        const known = (key: (typeof identifiers)[number]['key']) =>
          key?.$case === 'value' && key.value === 'ann@example.com';
        return { results: identifiers.map(({ key }) => ({ customerId: known(key) ? 'ann' : '' })) };
      },
    },
  );
  const options = { tokens, logger, registry: new Registry(), host: '127.0.0.1', port: 0, reflection: false };
  identity = new RpcServer({ services: [identityService], ...options });
  return `127.0.0.1:${await identity.start()}`;
}
const askedBy: string[] = [];

const run = () =>
  startStage(profileStage(ZONE), {
    nats,
    redis,
    partitions: PARTITIONS,
    clock: 'live',
    replicaId: 'one',
    logger,
    registry: new Registry(),
  });

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
  const manager = await jetstreamManager(nats);
  for (const { name, subjects: taken } of [STREAMS.log, STREAMS.deadLetters]) {
    await manager.streams.add({ name, subjects: [...taken], allow_direct: true });
  }
  stage = await run();
  const handlers = new ProfileHandlers({
    ...openReading(redis, PARTITIONS, 'live'),
    definitions: () => NO_DEFINITIONS,
    zone: new ShopZone(ZONE),
    open: (sealed) => sealer.open(sealed).toString(),
    lookup: new GrpcCustomerLookup(createClient(IdentityServiceClient, await serveIdentity())),
    peers: new GrpcPeerParts({}),
    timeline: { list: async () => ({ events: [], nextPageToken: '' }) },
    changes: new ChangeStreams(nats, () => {}),
  });
  const services = [rpcService(ProfileServiceService, handlers)];
  server = new RpcServer({
    services,
    tokens,
    logger,
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
    reflection: false,
  });
  address = `127.0.0.1:${await server.start()}`;
});

afterAll(async () => {
  await Promise.all([server?.stop(500), identity?.stop(500)]);
  await stage?.stop();
  redis?.disconnect();
  await nats?.close();
});

type Entry = { customerId: string; kind: RecordKind; body: Uint8Array };
let frames = 0;

/** As identity writes: one frame for a partition. */
async function write(entries: Entry[]): Promise<void> {
  const partition = partitionOf((entries[0] as Entry).customerId, PARTITIONS);
  const records = entries.map(({ customerId, kind, body }) => ({
    customerId,
    kind,
    timeMs: Date.now(),
    body: Buffer.from(body),
  }));
  const frame = Frame.fromPartial({ throughSeq: ++frames, records });
  await jetstream(nats).publish(subjects.log(partition, 'event'), Frame.encode(frame).finish());
}

const order = (customerId: string, orderId: string, yuan: number): Entry => ({
  customerId,
  kind: RecordKind.RECORD_KIND_EVENT,
  body: Event.encode(
    Event.fromPartial({
      type: EventType.EVENT_TYPE_TRACK,
      name: 'Order Completed',
      timeMs: Date.now(),
      source: 'web',
      commerce: { orderId, amountMicros: yuan * 1e6, currency: 'CNY' },
    }),
  ).finish(),
});
const identify = (customerId: string): Entry => {
  const traits = [
    { name: 'city', json: Buffer.from('"Hangzhou"') },
    { name: 'email', sealed: sealer.seal('"a@example.com"') },
  ];
  const event = Event.fromPartial({ type: EventType.EVENT_TYPE_IDENTIFY, timeMs: Date.now(), source: 'app', traits });
  return { customerId, kind: RecordKind.RECORD_KIND_EVENT, body: Event.encode(event).finish() };
};
const linked = (customerId: string): Entry => ({
  customerId,
  kind: RecordKind.RECORD_KIND_IDENTITY,
  body: IdentityChange.encode(
    IdentityChange.fromPartial({ identified: true, linked: [{ type: 'email', hash: Buffer.alloc(16, 1) }] }),
  ).finish(),
});
const merged = (from: string, into: string): Entry => ({
  customerId: from,
  kind: RecordKind.RECORD_KIND_MERGED,
  body: Merged.encode(Merged.fromPartial({ into })).finish(),
});

const client = (token = 'all-of-it') => createClient(ProfileServiceClient, address, { token });
const get = async (id: string, token?: string) => {
  const caller = client(token);
  try {
    const { profile } = await caller.getProfile({ customer: { $case: 'customerId', value: id }, readMask: undefined });
    return profile;
  } finally {
    caller.close();
  }
};
const eventually = (check: () => Promise<void>) =>
  expect.poll(async () => check().then(() => 'ok', String), { timeout: 15_000 }).toBe('ok');

/** PROFILE records in the log, of one customer. */
async function told(customerId: string): Promise<ProfileChange[]> {
  const subject = subjects.log(partitionOf(customerId, PARTITIONS), 'profile');
  const manager = await jetstreamManager(nats);
  const info = await manager.streams.info(STREAMS.log.name);
  const found: ProfileChange[] = [];
  for (let seq = 1; seq <= info.state.last_seq; seq++) {
    const message = await manager.streams.getMessage(STREAMS.log.name, { seq });
    if (message?.subject !== subject) continue;
    for (const record of Frame.decode(message.data).records) {
      if (record.customerId === customerId) found.push(ProfileChange.decode(record.body));
    }
  }
  return found;
}

test('events become a profile that is read over gRPC, and what changed is told in the log', async () => {
  await write([
    identify('ann'),
    linked('ann'),
    order('ann', 'a1', 100),
    order('ann', 'a1', 100),
    order('ann', 'a2', 50),
  ]);
  await eventually(async () => {
    expect(await get('ann')).toMatchObject({
      customerId: 'ann',
      identified: true,
      sources: ['app', 'web'],
      orders: { placed: 2, kept: 2, grossMicros: 150e6, averageMicros: 75e6, currency: 'CNY' },
      identifiers: [{ type: 'email' }],
    });
  });
  const profile = await get('ann');
  expect(profile?.events.find((e) => e.name === 'Order Completed')?.windows).toContainEqual({
    days: 7,
    count: 2,
    amountMicros: 150e6,
  });
  expect(profile?.traits.find((t) => t.name === 'email')).toMatchObject({
    valueJson: '"a@example.com"',
    masked: false,
  });
  const changes = await told('ann');
  expect(changes.map((c) => c.orders)).toEqual([0, 0, 1, 2]);
  expect(changes[0]?.changedTraits).toEqual(['city', 'email']);
});

test('on the event clock windows end where the partition stands', async () => {
  const { clock } = openReading(redis, PARTITIONS, 'event');
  // This cluster runs on the live clock, so its partitions stand at the present.
  expect(Math.abs((await clock('ann')) - Date.now())).toBeLessThan(60_000);
});

test('who may call what', async () => {
  expect((await get('ann', 'profiles-only'))?.traits.find((t) => t.name === 'email')).toMatchObject({
    valueJson: '',
    masked: true,
  });
  await expect(get('ann', 'not-a-token')).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  await expect(get('nobody')).rejects.toMatchObject({ code: status.NOT_FOUND });
});

test('by identifier: identity is asked in the name of the caller', async () => {
  const caller = client('all-of-it');
  const by = (value: string) =>
    caller.getProfile({ customer: { $case: 'identifier', value: { type: 'email', value } }, readMask: ['orders'] });
  try {
    expect((await by('ann@example.com')).profile).toMatchObject({ customerId: 'ann', orders: { placed: 2 } });
    await expect(by('nobody@example.com')).rejects.toMatchObject({ code: status.NOT_FOUND });
  } finally {
    caller.close();
  }
  expect(askedBy).toEqual(['admin', 'admin']);
  const other = client('profiles-only');
  try {
    const customer = { $case: 'identifier' as const, value: { type: 'email', value: 'ann@example.com' } };
    await expect(other.getProfile({ customer, readMask: [] })).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
  } finally {
    other.close();
  }
});

test('a merge moves a profile to another partition; the old id answers for the new one', async () => {
  await write([order('bob', 'b1', 10)]);
  await write([order('cat', 'c1', 20)]);
  await write([merged('cat', 'bob')]);
  await eventually(async () => {
    expect(await get('cat')).toMatchObject({ customerId: 'bob', orders: { kept: 2, grossMicros: 30e6 } });
  });
  expect((await told('bob')).at(-1)).toMatchObject({ orders: 2, grossMicros: 30e6 });
});

test('a restart in the middle counts everything once', async () => {
  const ids = Array.from({ length: 30 }, (_, i) => `many-${i}`);
  for (let n = 0; n < 5; n++) {
    for (const id of ids) await write([order(id, `${id}-${n}`, 10)]);
    if (n === 2) {
      await stage.stop();
      stage = await run();
    }
  }
  await eventually(async () => {
    const caller = client();
    try {
      const { profiles, notFound } = await caller.batchGetProfiles({
        customerIds: [...ids, 'nobody'],
        readMask: ['orders'],
      });
      expect(notFound).toEqual(['nobody']);
      expect(profiles.map((p) => p.orders?.placed)).toEqual(ids.map(() => 5));
    } finally {
      caller.close();
    }
  });
  expect((await told('many-7')).map((c) => c.orders)).toEqual([1, 2, 3, 4, 5]);
});

test('changes are streamed as they happen, filtered, and from a position on without loss or repetition', async () => {
  const caller = client();
  const ids = Array.from({ length: 12 }, (_, i) => `streamed-${i}`);
  const read = async (after: number, wanted: number, fields: string[] = []) => {
    const found: string[] = [];
    const changes = caller.streamProfileChanges({ after, fields }, { deadlineMs: 20_000 });
    for await (const response of changes) {
      for (const { customerId, change } of response.changes) {
        if (!customerId.startsWith('streamed')) continue;
        found.push(`${customerId} ${change?.$case === 'profile' ? change.value.orders : change?.$case}`);
      }
      if (found.length >= wanted) return { found, position: response.position };
    }
    throw new Error('the stream ended');
  };
  try {
    for (const id of ids) await write([identify(id), order(id, `${id}-1`, 10)]);
    const first = await read(1, 2 * ids.length);
    expect(first.found.toSorted()).toEqual(ids.flatMap((id) => [`${id} 0`, `${id} 1`]).toSorted());
    for (const id of ids) await write([order(id, `${id}-2`, 10)]);
    const second = await read(first.position, ids.length);
    expect(second.found.toSorted()).toEqual(ids.map((id) => `${id} 2`).toSorted());
    const cities = await read(1, ids.length, ['traits.city', 'tags']);
    expect(cities.found.toSorted()).toEqual(ids.map((id) => `${id} 0`).toSorted());
    await expect(read(1, 1, ['colour'])).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  } finally {
    caller.close();
  }
});
