import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProfileChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

/** The built service as processes that are killed: needs `nx build profile`. */

const PARTITIONS = 4;
const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let one: SpawnedService;
let two: SpawnedService;

beforeAll(async () => {
  const env = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) };
  one = await spawnService('profile', env, { replica: 1 });
  two = await spawnService('profile', env, { replica: 2 });
  nats = await connect({ servers: servers.nats.url });
});

afterAll(async () => {
  await Promise.all([one?.stop(), two?.stop(), nats?.close()]);
});

const ids = Array.from({ length: 40 }, (_, i) => `customer-${i}`);
let frames = 0;

/** Round `n`: one order of every customer, one frame a partition, as identity writes. */
async function round(n: number): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const timeMs = Date.now();
    const records = ids
      .filter((id) => partitionOf(id, PARTITIONS) === partition)
      .map((customerId) => {
        const commerce = { orderId: `${customerId}-${n}`, amountMicros: 10_000_000, currency: 'CNY' };
        const event = Event.fromPartial({
          type: EventType.EVENT_TYPE_TRACK,
          name: 'Order Completed',
          timeMs,
          commerce,
        });
        return {
          customerId,
          kind: RecordKind.RECORD_KIND_EVENT,
          timeMs,
          body: Buffer.from(Event.encode(event).finish()),
        };
      });
    const frame = Frame.encode(Frame.fromPartial({ throughSeq: ++frames, records })).finish();
    await jetstream(nats).publish(subjects.log(partition, 'event'), frame);
  }
}

/** What the log says of each customer, in order: the number of orders in every PROFILE record. */
async function told(): Promise<Map<string, number[]>> {
  const said = new Map<string, number[]>();
  const consumer = await jetstream(nats).consumers.get(STREAMS.log.name, { filter_subjects: ['log.*.profile'] });
  const { num_pending: pending } = await consumer.info();
  let left = pending;
  const messages = await consumer.consume();
  for await (const message of messages) {
    for (const record of Frame.decode(message.data).records) {
      const counts = said.get(record.customerId) ?? [];
      counts.push(ProfileChange.decode(record.body).orders);
      said.set(record.customerId, counts);
    }
    if (--left === 0) break;
  }
  await messages.close();
  return said;
}

test('whoever is killed, whenever: every order counts once and is told once', async () => {
  const rounds = 12;
  for (let n = 0; n < rounds; n++) {
    await round(n);
    if (n === 3) await one.kill9();
    if (n === 5) await one.restart();
    if (n === 7) await two.kill9();
    if (n === 9) {
      one.pause();
      setTimeout(() => one.resume(), 1_000);
    }
  }
  await two.restart();
  const client = createClient(ProfileServiceClient, two.grpcAddr, { token: testSecrets().apiToken });
  try {
    const placed = async () => {
      const { profiles } = await client.batchGetProfiles({ customerIds: ids, readMask: ['orders'] });
      // Customers of a partition nobody has taken yet are not in the answer.
      return profiles.length < ids.length ? undefined : new Set(profiles.map((profile) => profile.orders?.placed));
    };
    await expect.poll(placed, { timeout: 40_000, interval: 250 }).toEqual(new Set([rounds]));
  } finally {
    client.close();
  }
  const said = await told();
  expect(said.size).toBe(ids.length);
  for (const counts of said.values()) expect(counts).toEqual(Array.from({ length: rounds }, (_, i) => i + 1));
}, 90_000);
