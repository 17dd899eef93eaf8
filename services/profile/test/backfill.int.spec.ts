import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

/** Built services: new computed traits are filled from history while events flow and processes die. */

const PARTITIONS = 4;
const servers = withServers({ nats: true, redis: true });
const ids = Array.from({ length: 60 }, (_, i) => `customer-${i}`);
let nats: NatsConnection;
let redis: Redis;
let analytics: SpawnedService;
let one: SpawnedService;
let two: SpawnedService;
let definitions: RpcClient<typeof ProfileDefinitionServiceClient.service>;
let profiles: RpcClient<typeof ProfileServiceClient.service>;
let sqlUrl: string;

beforeAll(async () => {
  const stores = { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) };
  analytics = await spawnService('analytics', stores);
  sqlUrl = `http://127.0.0.1:${analytics.env.CLICKHOUSE_HTTP_PORT}/?database=recur`;
  const env = { ...stores, ANALYTICS_ADDR: analytics.grpcAddr };
  one = await spawnService('profile', env, { replica: 1 });
  two = await spawnService('profile', env, { replica: 2 });
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
  const token = { token: testSecrets().apiToken };
  definitions = createClient(ProfileDefinitionServiceClient, one.grpcAddr, token);
  profiles = createClient(ProfileServiceClient, one.grpcAddr, token);
}, 180_000);

afterAll(async () => {
  definitions?.close();
  profiles?.close();
  redis?.disconnect();
  await Promise.all([one?.stop(), two?.stop(), analytics?.stop(), nats?.close()]);
});

let frames = 0;
const { EVENT_TYPE_TRACK } = EventType;
type Happened = Partial<Event>;
const track = (name: string, timeMs: number, rest: object): Happened =>
  Event.fromPartial({ type: EVENT_TYPE_TRACK, name, timeMs, source: 'web', ...rest });

const eventRecord = (customerId: string, event: Happened) => ({
  customerId,
  kind: RecordKind.RECORD_KIND_EVENT,
  timeMs: event.timeMs ?? 0,
  body: Buffer.from(Event.encode(event as Event).finish()),
});

async function append(partition: number, records: ReturnType<typeof eventRecord>[]): Promise<void> {
  const frame = Frame.encode(Frame.fromPartial({ throughSeq: ++frames, records })).finish();
  await jetstream(nats).publish(subjects.log(partition, 'event'), frame);
}

/**
 * More orders of one customer than facts remember; some were cancelled, at once in the log, but by their times after all of them:
 * whoever reads history by time has forgotten the order when its end comes.
 */
async function manyOrders(customerId: string): Promise<void> {
  const from = Date.now() - 7_200_000;
  const events = Array.from({ length: 45 }, (_, n) => {
    const commerce = { orderId: `many-${n}`, amountMicros: (n + 1) * 1e6, currency: 'CNY', coupon: 'MAY' };
    const lines = [{ productId: 'p', category: 'socks', quantity: 1, priceMicros: 1e6 }];
    const placed = track('Order Completed', from + n * 1_000, { commerce: { ...commerce, lines } });
    if (n % 3 > 0) return [placed];
    const gone = { commerce: { orderId: commerce.orderId, currency: 'CNY' } };
    return [placed, track('Order Cancelled', from + 3_600_000 + n, gone)];
  });
  const records = events.flat().map((event) => eventRecord(customerId, event));
  await append(partitionOf(customerId, PARTITIONS), records);
}

/** Round `n` of what every customer does, one frame a partition, as identity writes. */
async function round(n: number): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const timeMs = Date.now();
    const records = ids
      .filter((id) => partitionOf(id, PARTITIONS) === partition)
      .flatMap((customerId, i) => {
        const orderId = `${customerId}-${n}`;
        const order = {
          orderId,
          amountMicros: (n + 1) * 1_230_000 + i,
          currency: 'CNY',
          coupon: n % 3 === 0 ? 'MAY' : '',
        };
        const lines = [
          { productId: `p${n % 5}`, category: n % 2 === 0 ? 'tea' : 'socks', quantity: 1 + (n % 3), priceMicros: 5e6 },
        ];
        const colour = {
          propertiesJson: Buffer.from(JSON.stringify({ look: { colour: n % 2 === 0 ? 'red' : 'blue' } })),
        };
        const events = [
          track('Product Viewed', timeMs, colour),
          track('Order Completed', timeMs, { commerce: { ...order, lines } }),
        ];
        const before = { orderId: `${customerId}-${n - 1}`, currency: 'CNY' };
        if (n % 4 === 3) events.push(track('Order Cancelled', timeMs, { commerce: before }));
        return events.map((event) => eventRecord(customerId, event));
      });
    await append(partition, records);
  }
}

const base = { englishName: 'A figure', chineseName: '指标' };
const A = Aggregation;
const TRAITS = [
  {
    id: 'red-views',
    events: ['Product Viewed'],
    aggregation: A.AGGREGATION_COUNT,
    where: [{ property: 'look.colour', equals: 'red' }],
  },
  { id: 'spent', events: ['Order Completed'], aggregation: A.AGGREGATION_SUM, property: 'amount' },
  {
    id: 'categories',
    events: ['Order Completed'],
    aggregation: A.AGGREGATION_TOP,
    property: 'products.category',
    limit: 1,
  },
  {
    id: 'coupon-share',
    events: ['Order Completed'],
    aggregation: A.AGGREGATION_RATE,
    share: [{ property: 'coupon', exists: true }],
  },
];
const SQL = `
  WITH orders AS (
    SELECT customer_id, order_id, any(amount) AS amount, any(coupon) AS coupon, any(category) AS category
    FROM events AS e INNER JOIN event_lines AS l USING (partition, seq, idx) WHERE e.name = 'Order Completed'
      AND e.order_id NOT IN (SELECT order_id FROM events WHERE name = 'Order Cancelled')
    GROUP BY customer_id, order_id)
  SELECT v.customer_id AS id, v.red AS red, toFloat64(sum(o.amount)) AS spent, countIf(o.category = 'tea') AS tea,
    countIf(o.category = 'socks') AS socks, round(countIf(o.coupon != '') / count(), 6) AS share
  FROM (SELECT customer_id, countIf(JSONExtractString(properties, 'look', 'colour') = 'red') AS red FROM events
        WHERE name = 'Product Viewed' GROUP BY customer_id) AS v
  INNER JOIN orders AS o ON o.customer_id = v.customer_id GROUP BY v.customer_id, v.red FORMAT JSON`;

interface Row {
  id: string;
  red: number;
  spent: number;
  tea: number;
  socks: number;
  share: number;
}

async function sql<T>(query: string): Promise<T[]> {
  const answer = await fetch(`${sqlUrl}&output_format_json_quote_64bit_integers=0`, { method: 'POST', body: query });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return (JSON.parse(text) as { data: T[] }).data;
}

async function until(what: string, check: () => Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) {
    if (await check().catch(() => false)) return;
  }
  throw new Error(`${what}: not within ${ms} ms\n${one.logs(20)}\n${two.logs(20)}\n${analytics.logs(10)}`);
}

async function equalToRecount(rounds: number): Promise<void> {
  await until('all events are in the tables', async () => {
    const [row] = await sql<{ n: number }>("SELECT count() AS n FROM events WHERE name = 'Product Viewed' FORMAT JSON");
    return row?.n === rounds * ids.length;
  });
  await until('all events are in the profiles', async () => {
    const { profiles: found } = await profiles.batchGetProfiles({ customerIds: [...ids], readMask: ['events'] });
    return found.every((p) => p.events.find((e) => e.name === 'Product Viewed')?.count === rounds);
  });
  const rows = await sql<Row>(SQL);
  expect(rows).toHaveLength(ids.length);
  const { profiles: found } = await profiles.batchGetProfiles({
    customerIds: rows.map(({ id }) => id),
    readMask: ['computed_traits'],
  });
  const values = found.map(({ customerId, computedTraits }) => {
    expect(computedTraits.every(({ complete }) => complete)).toBe(true);
    return { id: customerId, ...Object.fromEntries(computedTraits.map((t) => [t.id, JSON.parse(t.valueJson)])) };
  });
  expect(values).toEqual(
    rows.map(({ id, red, spent, tea, socks, share }) => ({
      id,
      'red-views': red,
      spent,
      categories: [tea > socks ? 'tea' : 'socks'],
      'coupon-share': share,
    })),
  );
}

async function complete(): Promise<boolean> {
  for (const { id } of TRAITS) {
    const { completePartitions } = await definitions.getComputedTrait({ id });
    if (completePartitions < PARTITIONS) return false;
  }
  return true;
}

test('a new computed trait is filled from history while events flow and its service is killed, and equals a recount', async () => {
  let n = 0;
  await manyOrders(ids[7] as string);
  for (; n < 15; n++) await round(n);
  let flowing = true;
  const flow = (async () => {
    for (; flowing; n++) {
      await round(n);
      await new Promise((r) => setTimeout(r, 200));
    }
  })();
  for (const trait of TRAITS) {
    const computedTrait = ComputedTrait.fromPartial({ ...base, ...trait } as never);
    await definitions.createComputedTrait({ computedTrait, requestId: `create-${trait.id}` });
    await definitions.createComputedTrait({ computedTrait, requestId: `create-${trait.id}` });
  }
  await new Promise((r) => setTimeout(r, 150));
  await two.kill9();
  await until('filled', complete, 120_000);
  flowing = false;
  await flow;
  // An odd number of rounds: no tie between tea and socks.
  for (; n % 4 !== 3; n++) await round(n);
  await equalToRecount(n);

  // All of it is in the log, nothing twice; so it is the same when Redis has lost everything.
  const seen = new Set<string>();
  const consumer = await jetstream(nats).consumers.get(STREAMS.log.name, {
    filter_subjects: ['log.*.handover.profile.*'],
  });
  for (let { num_pending: left } = await consumer.info(); left > 0; left--) {
    const message = await consumer.next();
    for (const { customerId, kind } of Frame.decode(message?.data ?? new Uint8Array()).records) {
      if (kind !== RecordKind.RECORD_KIND_BACKFILL) continue;
      const key = `${message?.subject} ${customerId}`;
      expect(seen.has(key), key).toBe(false);
      seen.add(key);
    }
  }
  expect(seen.size).toBe(TRAITS.length * ids.length);
  await one.stop();
  await redis.flushall();
  await one.restart();
  await until('folded again', complete);
  await equalToRecount(n);
}, 300_000);
