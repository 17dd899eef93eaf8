/**
 * What reads cost, through gRPC and Redis: `REDIS_URL=redis://… node services/profile/bench/get-profile.bench.ts`, with a
 * Redis that may be written to and holds no cluster. Prints percentiles in ms, one caller after the other and 16 at once.
 */
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { ProfileServiceClient, ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { applyEvent, encodeFacts, newFacts, ShopZone } from '#lib/facts/facts.ts';
import { createClient } from '#lib/rpc/client.ts';
import { RpcServer } from '#lib/rpc/server.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { ApiTokens } from '#lib/rpc/tokens.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { stageTag, stateKey } from '#lib/stream/partition-store.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import { NO_DEFINITIONS } from '../src/core/computed-view.ts';
import { GrpcPeerParts } from '../src/peers/parts.ts';
import { ProfileHandlers } from '../src/rpc/profile-handlers.ts';
import { openReading } from '../src/store/states.ts';

const CUSTOMERS = 5_000;
const PARTITIONS = 8;
const DAY = 86_400_000;
const zone = new ShopZone('Asia/Shanghai');
const sealer = new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 1) }]));
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
const key = (id: string) => stateKey(stageTag('profile', partitionOf(id, PARTITIONS)), id);
const ids = Array.from({ length: CUSTOMERS }, (_, i) => `bench-${i}`);

function state(i: number): Buffer {
  const facts = newFacts();
  const now = Date.now();
  const traits = ['city', 'gender', 'plan', 'skin_type', 'birthday'].map((name) => ({
    name,
    json: Buffer.from('"v"'),
  }));
  const sealed = ['email', 'phone', 'name'].map((name) => ({ name, sealed: sealer.seal(`"${name}${i}@example.com"`) }));
  const identify = Event.fromPartial({ type: EventType.EVENT_TYPE_IDENTIFY, timeMs: now - 100 * DAY, source: 'web' });
  applyEvent(facts, { ...identify, traits: Event.fromPartial({ traits: [...traits, ...sealed] }).traits }, now, zone);
  for (const name of [
    'Product Viewed',
    'Product Added',
    'Checkout Started',
    'Order Completed',
    'Email Opened',
    'Searched',
  ]) {
    for (let n = 0; n < 12; n++) {
      const commerce = {
        orderId: `${i}-${n}`,
        amountMicros: 99e6,
        lines: [{ category: `c${n % 4}`, quantity: 1, priceMicros: 99e6 }],
      };
      const event = Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name, timeMs: now - n * 8 * DAY, commerce });
      applyEvent(facts, event, now, zone);
    }
  }
  return encodeFacts(facts);
}

for (const [i, id] of ids.entries()) void redis.set(key(id), state(i));
await redis.ping();

const handlers = new ProfileHandlers({
  ...openReading(redis, PARTITIONS, 'live'),
  definitions: () => NO_DEFINITIONS,
  zone,
  open: (bytes) => sealer.open(bytes).toString(),
  lookup: { find: async () => undefined },
  peers: new GrpcPeerParts({}),
  timeline: { list: async () => ({ events: [], nextPageToken: '' }) },
  changes: { stream: async function* () {} },
});
const server = new RpcServer({
  services: [rpcService(ProfileServiceService, handlers)],
  tokens: new ApiTokens([{ token: 'bench-token', name: 'bench', scopes: ['*'] }]),
  logger: pino({ level: 'silent' }),
  registry: new Registry(),
  host: '127.0.0.1',
  port: 0,
  reflection: false,
});
const client = createClient(ProfileServiceClient, `127.0.0.1:${await server.start()}`, { token: 'bench-token' });

async function measure(
  name: string,
  calls: number,
  atOnce: number,
  run: (i: number) => Promise<unknown>,
): Promise<void> {
  const times: number[] = [];
  let next = 0;
  const caller = async () => {
    while (next < calls) {
      const i = next++;
      const begun = performance.now();
      await run(i);
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  times.sort((a, b) => a - b);
  const at = (q: number) => (times[Math.floor(times.length * q)] as number).toFixed(2);
  console.log(`${name.padEnd(34)} p50 ${at(0.5)}  p95 ${at(0.95)}  p99 ${at(0.99)}  max ${at(0.99999)}`);
}

const one = (i: number) =>
  client.getProfile({
    customer: { $case: 'customerId', value: ids[(i * 7) % CUSTOMERS] as string },
    readMask: undefined,
  });
await measure('(warm-up)', 3_000, 4, one);
await measure('GetProfile, one after the other', 5_000, 1, one);
await measure('GetProfile, 4 at once', 10_000, 4, one);
await measure('GetProfile, 16 at once', 10_000, 16, one);
const batch = (size: number) => () => client.batchGetProfiles({ customerIds: ids.slice(0, size), readMask: undefined });
await measure('BatchGetProfiles, 100', 200, 1, batch(100));
await measure('BatchGetProfiles, 1000, orders', 50, 1, () =>
  client.batchGetProfiles({ customerIds: ids.slice(0, 1000), readMask: ['orders'] }),
);

client.close();
await server.stop(500);
await redis.del(...ids.map(key));
redis.disconnect();
