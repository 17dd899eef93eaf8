import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { Api } from '#tools/library/api.ts';
import { metricsOf, metricValues, until } from '#tools/library/progress.ts';
import { sql } from '#tools/library/sql.ts';
import { Random } from '#tools/sample-shop/random.ts';
import { Arrival } from './arrival.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, perEvent, readCpu, total } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';

const EVENTS = 500_000;
const EVENTS_PER_CUSTOMER = 50;
const FRAME = 500;
const DAY_MS = 86_400_000;
const FLOW_EVERY_MS = 100;
const PATIENCE_MS = 1_200_000;

interface Trait {
  readonly name: string;
  readonly definition: ComputedTrait;
  /** Per customer and up to a place in the log: `customer_id`, `value`. */
  readonly recount: string;
}

const named = { englishName: 'bench', chineseName: '基准' };
const TRAITS: readonly Trait[] = [
  {
    name: 'red-views',
    definition: ComputedTrait.fromPartial({
      ...named,
      id: 'red-views',
      events: ['Product Viewed'],
      where: [{ property: 'colour', equals: 'red' }],
      aggregation: Aggregation.AGGREGATION_COUNT,
    }),
    recount: `SELECT customer_id, toFloat64(count()) AS value FROM events
      WHERE name = 'Product Viewed' AND JSONExtractString(properties, 'colour') = 'red' AND seq <= {seq} GROUP BY customer_id`,
  },
  {
    name: 'spent',
    definition: ComputedTrait.fromPartial({
      ...named,
      id: 'spent',
      events: ['Order Completed'],
      aggregation: Aggregation.AGGREGATION_SUM,
      property: 'amount',
    }),
    recount: `SELECT customer_id, toFloat64(sum(amount)) AS value FROM events
      WHERE name = 'Order Completed' AND seq <= {seq} AND order_id NOT IN
        (SELECT order_id FROM events WHERE name = 'Order Cancelled' AND seq <= {seq}) GROUP BY customer_id`,
  },
];

/** How long a new computed trait takes to be filled from stored events and live, while more events come. */
export async function backfill(options: BenchOptions): Promise<BenchResult> {
  const events = options.events ?? EVENTS;
  const cluster = await startBenchCluster({ ...options, only: ['nats', 'redis', 'profile', 'analytics'] });
  const { grpc, apiToken: token } = cluster.endpoints;
  const definitions = createClient(ProfileDefinitionServiceClient, grpc.profile, { token, deadlineMs: 20_000 });
  try {
    const history = new History(cluster, Math.max(100, Math.round(events / EVENTS_PER_CUSTOMER)));
    await history.open();
    await store(cluster, history, events);
    const stop = history.flow();
    const results: Record<string, unknown>[] = [];
    for (const trait of TRAITS) results.push(await measure(cluster, definitions, trait, events, history));
    const flowed = await stop();
    await history.close();
    const value = Math.max(...results.map(({ seconds }) => seconds as number));
    const cpu = Math.max(...results.map(({ cpu_us_per_event: of }) => of as number));
    const detail = { stored: events, flowed, customers: history.customers, traits: results };
    return { bench: 'backfill', value, unit: 's', ratio: null, cpuUsPerEvent: cpu, detail };
  } finally {
    definitions.close();
    await cluster.stop();
  }
}

async function measure(
  cluster: Cluster,
  definitions: Api['profileDefinitions'],
  trait: Trait,
  events: number,
  history: History,
) {
  const processes = processesOf(cluster);
  const arrival = await Arrival.open(cluster);
  const before = readCpu(processes);
  const started = performance.now();
  await definitions.createComputedTrait({ computedTrait: trait.definition, requestId: trait.name });
  await until(
    'history complete',
    async () => {
      const { completePartitions, partitions } = await definitions.getComputedTrait({ id: trait.name });
      return completePartitions === partitions;
    },
    PATIENCE_MS,
  );
  const completeSeconds = (performance.now() - started) / 1000;
  // Segments and the tables learn the values in one pass over the customers after that.
  await arrival.swept('profile', PATIENCE_MS);
  const seconds = (performance.now() - started) / 1000;
  const cpu = total(perEvent(cpuBetween(before, readCpu(processes)), events));
  await arrival.close();
  // A moment of our choosing, while events keep coming: the log's end now.
  await sleep(2_000);
  const seq = await history.end();
  const { customers, different } = await compare(cluster, trait, seq);
  console.log(
    `${trait.name}: ${whole(events)} stored events, complete after ${short(completeSeconds, 2)} s and told after ${short(seconds, 2)} s, ${short(cpu, 2)} µs CPU an event; ` +
      `${whole(customers)} customers at ${seq}, ${different} of them not as recounted`,
  );
  if (different > 0 || customers === 0)
    throw new Error(`${trait.name}: ${different} of ${customers} values are not as recounted`);
  const at = { seconds, complete_seconds: completeSeconds };
  return { trait: trait.name, ...at, cpu_us_per_event: cpu, recounted_customers: customers, recounted_at_seq: seq };
}

/** Values told by what happened up to a place in the log, against a recount of the events up to there. */
async function compare(cluster: Cluster, trait: Trait, seq: number): Promise<{ customers: number; different: number }> {
  const url = cluster.endpoints.clickhouseHttp;
  const told = `SELECT customer_id, toFloat64OrZero(argMax(to_json, (log_time, seq, idx))) AS value FROM computed_trait_changes
    WHERE trait_id = '${trait.name}' AND origin_seq <= ${seq} GROUP BY customer_id`;
  const recounted = trait.recount.replaceAll('{seq}', String(seq));
  const joined = `FROM (${recounted}) AS r FULL OUTER JOIN (${told}) AS t ON t.customer_id = r.customer_id`;
  const query = `SELECT count() AS customers, countIf(abs(t.value - r.value) > 1e-6) AS different ${joined}`;
  let found = { customers: 0, different: 0 };
  // What the profile service made of it comes a moment after the events.
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(1_000)) {
    [found = found] = await sql<{ customers: number; different: number }>(url, query);
    if (found.customers > 0 && found.different === 0) return found;
  }
  const examples = await sql(
    url,
    `SELECT r.customer_id AS recounted_of, t.customer_id AS told_of, r.value AS recounted, t.value AS told ${joined}
      WHERE abs(t.value - r.value) > 1e-6 LIMIT 5`,
  );
  for (const example of examples) console.log(JSON.stringify(example));
  return found;
}

async function store(cluster: Cluster, history: History, events: number): Promise<void> {
  const started = performance.now();
  await history.write(events);
  const end = await history.end();
  await until('events in the tables', async () => (await sunk(cluster)) >= end, PATIENCE_MS, 500);
  await until('events in the profiles', async () => (await history.lag()) === 0, PATIENCE_MS, 500);
  const seconds = (performance.now() - started) / 1000;
  console.log(`${whole(events)} events of ${whole(history.customers)} customers stored in ${short(seconds)} s`);
}

async function sunk(cluster: Cluster): Promise<number> {
  const text = await metricsOf(cluster.endpoints.httpOf('analytics'));
  return metricValues(text, 'recur_sink_through_seq')[0]?.value ?? 0;
}

/** Events of one half year, written to the log as identity writes them. */
class History {
  readonly customers: number;
  readonly #cluster: Cluster;
  readonly #random = new Random(11);
  readonly #frames: LogRecord[][];
  #js!: JetStreamClient;
  #close: () => Promise<void> = async () => {};
  #end!: () => Promise<number>;
  #orders = 0;
  readonly #lastOrder = new Map<string, string>();

  constructor(cluster: Cluster, customers: number) {
    this.#cluster = cluster;
    this.customers = customers;
    this.#frames = Array.from({ length: cluster.settings.partitions }, () => []);
  }

  async open(): Promise<void> {
    const nats = await connect({ servers: this.#cluster.endpoints.natsUrl });
    const jsm = await jetstreamManager(nats);
    this.#js = jetstream(nats);
    this.#close = () => nats.close();
    this.#end = async () => (await jsm.streams.info(STREAMS.log.name)).state.last_seq;
  }

  close(): Promise<void> {
    return this.#close();
  }

  end(): Promise<number> {
    return this.#end();
  }

  /** Frames profile has not processed. */
  async lag(): Promise<number> {
    const text = await metricsOf(this.#cluster.endpoints.httpOf('profile'));
    const lags = metricValues(text, 'recur_lag_frames');
    return lags.length === 0 ? 1 : lags.reduce((sum, { value }) => sum + value, 0);
  }

  async write(events: number): Promise<void> {
    const open = new Set<Promise<unknown>>();
    for (let i = 0; i < events; i++) {
      const full = this.#add();
      if (full === undefined) continue;
      const sent = this.#publish(full).finally(() => open.delete(sent));
      open.add(sent);
      if (open.size >= 16) await Promise.race(open);
    }
    await Promise.all(open);
    for (const [partition, records] of this.#frames.entries()) if (records.length > 0) await this.#publish(partition);
  }

  /** Goes on writing a little, until stopped; says how many events. */
  flow(): () => Promise<number> {
    let stopped = false;
    let written = 0;
    const running = (async () => {
      for (; !stopped; await sleep(FLOW_EVERY_MS)) {
        await this.write(50);
        written += 50;
      }
    })();
    return async () => {
      stopped = true;
      await running;
      return written;
    };
  }

  /** One more event; the partition whose frame is full with it. */
  #add(): number | undefined {
    const random = this.#random;
    const customerId = `customer-${random.between(0, this.customers - 1)}`;
    const partition = partitionOf(customerId, this.#frames.length);
    const records = this.#frames[partition] as LogRecord[];
    const timeMs = Date.now() - random.between(0, 180 * DAY_MS);
    const body = Event.encode(
      Event.fromPartial({ ...this.#event(customerId, random.between(0, 99)), timeMs } as never),
    ).finish();
    const kind = RecordKind.RECORD_KIND_EVENT;
    records.push({ customerId, kind, timeMs: Date.now(), originSeq: 0, originIndex: 0, fromTimer: false, body });
    return records.length >= FRAME ? partition : undefined;
  }

  #event(customerId: string, of: number): object {
    const type = EventType.EVENT_TYPE_TRACK;
    const lines = [{ productId: 'p1', category: 'tea', quantity: 1, priceMicros: 9_900_000 }];
    if (of < 10) {
      const orderId = `o${++this.#orders}`;
      this.#lastOrder.set(customerId, orderId);
      const commerce = { orderId, amountMicros: 1_000_000 + of * 10_000, currency: 'CNY', lines };
      return { type, name: 'Order Completed', source: 'web', commerce };
    }
    const orderId = this.#lastOrder.get(customerId);
    if (of === 10 && orderId !== undefined) {
      return { type, name: 'Order Cancelled', source: 'web', commerce: { orderId, currency: 'CNY' } };
    }
    if (of < 30) return { type: EventType.EVENT_TYPE_PAGE, name: 'Home', source: 'web' };
    const properties = JSON.stringify({ colour: ['red', 'green', 'blue'][of % 3], page: of });
    return {
      type,
      name: 'Product Viewed',
      source: 'web',
      commerce: { lines, currency: 'CNY' },
      propertiesJson: Buffer.from(properties),
    };
  }

  async #publish(partition: number): Promise<void> {
    const records = this.#frames[partition] as LogRecord[];
    this.#frames[partition] = [];
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
    await this.#js.publish(subjects.log(partition, 'event'), frame);
  }
}
