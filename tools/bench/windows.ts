import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { SegmentChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { metricsOf, metricValues, until } from '#tools/library/progress.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import { readAll } from './read-all.ts';
import { type BenchResult, quantile, short, whole } from './result.ts';

const PEOPLE = 1_000_000;
const SECONDS = 120;
/** Of the customers, those whose windows end in one and the same millisecond, as at a midnight. */
const AT_ONCE = 1 / 30;
const FRAME = 500;
const DAY_MS = 86_400_000;
const FLOW_EVERY_MS = 100;
const FLOW = 50;
/** Slowest writing that is still in time before the first window ends, customers/s. */
const WRITTEN_PER_SECOND = 8_000;
const BEFORE_MS = 20_000;
const PATIENCE_MS = 300_000;
const LATE_MS = 1_000;

/** Left a day after the last order, to the millisecond. */
const WATCHED = 'ordered-today';
/** Others with windows, which no time passes within this bench. */
const OTHERS: readonly Segment[] = [2, 7, 30, 90].flatMap((days) => [
  segment(`ordered-${days}`, { event: { name: 'Order Completed', daysSinceLast: { lessThan: days } } }),
  segment(`viewed-${days}`, { event: { name: 'Product Viewed', days, count: { atLeast: 3 } } }),
]);

/** How late customers leave a segment whose window ends, when nothing but time passes for them. */
export async function windows(options: BenchOptions): Promise<BenchResult> {
  const people = options.events ?? PEOPLE;
  const spread = (options.seconds ?? SECONDS) * 1_000;
  const only = ['nats', 'redis', 'profile', 'segmentation'] as const;
  const cluster = await startBenchCluster({ ...options, only });
  const nats = await connect({ servers: cluster.endpoints.natsUrl });
  try {
    await createSegments(cluster);
    const startMs = Date.now() + BEFORE_MS + (people / WRITTEN_PER_SECOND) * 1_000;
    const plan = new Plan(people, startMs, spread);
    const log = new Log(jetstream(nats), cluster.settings.partitions);
    await write(cluster, log, plan);
    const process = processesOf(cluster).filter(({ name }) => name === 'segmentation');
    await sleep(Math.max(0, startMs - 1_000 - Date.now()));
    const before = readCpu(process);
    const stop = flow(log, people);
    await sleep(plan.endMs + 5_000 - Date.now());
    const flowed = await stop();
    const cpu = cpuBetween(before, readCpu(process)).segmentation ?? 0;
    return await judge(cluster, plan, { flowed, cpuUs: cpu / people, peakMb: peakOf(process[0]?.pid ?? 0) });
  } finally {
    await nats.close();
    await cluster.stop();
  }
}

/** Who leaves when. */
class Plan {
  readonly people: number;
  readonly atOnce: number;
  readonly onceMs: number;
  readonly endMs: number;
  readonly #startMs: number;
  readonly #spread: number;

  constructor(people: number, startMs: number, spread: number) {
    this.people = people;
    this.atOnce = Math.round(people * AT_ONCE);
    this.#startMs = startMs;
    this.#spread = spread;
    this.onceMs = startMs + spread + 5_000;
    this.endMs = this.onceMs;
  }

  isAtOnce(i: number): boolean {
    return i < this.atOnce;
  }

  dueMs(i: number): number {
    if (this.isAtOnce(i)) return this.onceMs;
    return Math.round(this.#startMs + ((i - this.atOnce) / (this.people - this.atOnce)) * this.#spread);
  }
}

const idOf = (i: number): string => `customer-${i}`;
const numberOf = (id: string): number => Number(id.slice('customer-'.length));

function segment(id: string, rule: object): Segment {
  return Segment.fromPartial({ id, rule: Rule.fromPartial(rule) });
}

async function createSegments({ endpoints: { grpc, apiToken } }: Cluster): Promise<void> {
  const client = createClient(SegmentationServiceClient, grpc.segmentation, { token: apiToken, deadlineMs: 20_000 });
  const watched = segment(WATCHED, { event: { name: 'Order Completed', daysSinceLast: { lessThan: 1 } } });
  for (const one of [watched, ...OTHERS]) await client.createSegment({ segment: one, requestId: `bench-${one.id}` });
  client.close();
}

/** Writes events to the log as identity does. */
class Log {
  readonly #js: JetStreamClient;
  readonly #frames: LogRecord[][];
  readonly #open = new Set<Promise<unknown>>();

  constructor(js: JetStreamClient, partitions: number) {
    this.#js = js;
    this.#frames = Array.from({ length: partitions }, () => []);
  }

  async add(customerId: string, event: object): Promise<void> {
    const partition = partitionOf(customerId, this.#frames.length);
    const records = this.#frames[partition] as LogRecord[];
    const body = Event.encode(
      Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, source: 'web', ...event }),
    ).finish();
    const origin = { originSeq: 0, originIndex: 0, fromTimer: false };
    records.push({ customerId, kind: RecordKind.RECORD_KIND_EVENT, timeMs: Date.now(), ...origin, body });
    if (records.length < FRAME) return;
    this.#publish(partition);
    if (this.#open.size >= 16) await Promise.race(this.#open);
  }

  async flush(): Promise<void> {
    for (const [partition, records] of this.#frames.entries()) if (records.length > 0) this.#publish(partition);
    await Promise.all(this.#open);
  }

  #publish(partition: number): void {
    const records = this.#frames[partition] as LogRecord[];
    this.#frames[partition] = [];
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
    const sent = this.#js.publish(subjects.log(partition, 'event'), frame).finally(() => this.#open.delete(sent));
    this.#open.add(sent);
  }
}

/** An order of everybody, so long ago that the day after it ends when planned. */
async function write(cluster: Cluster, log: Log, plan: Plan): Promise<void> {
  const started = performance.now();
  const lines = [{ productId: 'p1', category: 'tea', quantity: 1, priceMicros: 9_900_000 }];
  for (let i = 0; i < plan.people; i++) {
    const commerce = { orderId: `o${i}`, amountMicros: 9_900_000, currency: 'CNY', lines };
    await log.add(idOf(i), { name: 'Order Completed', timeMs: plan.dueMs(i) - DAY_MS, commerce });
  }
  await log.flush();
  await until('orders in segmentation', async () => (await lag(cluster)) === 0, PATIENCE_MS, 250);
  const seconds = (performance.now() - started) / 1_000;
  if (Date.now() > plan.dueMs(plan.atOnce))
    throw new Error(`writing took ${short(seconds)} s: windows ended meanwhile`);
  console.log(`${whole(plan.people)} customers, each in up to 5 of 9 segments, after ${short(seconds)} s`);
}

async function lag(cluster: Cluster): Promise<number> {
  const lags = metricValues(await metricsOf(cluster.endpoints.httpOf('segmentation')), 'recur_lag_frames');
  return lags.length === 0 ? 1 : lags.reduce((sum, { value }) => sum + value, 0);
}

/** Views of these customers, which move no window that is watched, until stopped; says how many. */
function flow(log: Log, people: number): () => Promise<number> {
  let stopped = false;
  let sent = 0;
  const running = (async () => {
    for (; !stopped; await sleep(FLOW_EVERY_MS)) {
      for (let n = 0; n < FLOW; n++) {
        await log.add(idOf((sent++ * 7_919) % people), { name: 'Product Viewed', timeMs: Date.now() });
      }
      await log.flush();
    }
  })();
  return async () => {
    stopped = true;
    await running;
    return sent;
  };
}

/** Most memory the process ever had, MB. */
function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

interface Used {
  readonly flowed: number;
  readonly cpuUs: number;
  readonly peakMb: number;
}

/** Every exit must be there, once, in the name of its moment; late is from there to its place in the log. */
async function judge(cluster: Cluster, plan: Plan, { flowed, cpuUs, peakMb }: Used): Promise<BenchResult> {
  const left = new Uint8Array(plan.people);
  const lateness: { spread: number[]; atOnce: number[] } = { spread: [], atOnce: [] };
  let wrong = 0;
  await readAll(cluster.endpoints.natsUrl, STREAMS.log.name, ['log.*.segment'], ({ data, storedAt }) => {
    for (const { customerId, kind, timeMs, body } of decodeFrame(data).records) {
      if (kind !== RecordKind.RECORD_KIND_SEGMENT) continue;
      const { segmentId, entered } = SegmentChange.decode(body);
      if (segmentId !== WATCHED || entered) continue;
      const i = numberOf(customerId);
      const dueMs = plan.dueMs(i);
      if (left[i] !== 0 || timeMs !== dueMs) wrong++;
      left[i] = 1;
      lateness[plan.isAtOnce(i) ? 'atOnce' : 'spread'].push(storedAt - dueMs);
    }
  });
  const exits = lateness.spread.length + lateness.atOnce.length;
  const tell = (of: readonly number[]) => ({
    exits: of.length,
    p50_ms: quantile(of, 0.5),
    p99_ms: quantile(of, 0.99),
    max_ms: quantile(of, 1),
  });
  const [spread, atOnce] = [tell(lateness.spread), tell(lateness.atOnce)];
  console.log(
    `\n${whole(spread.exits)} windows ended one after the other, ${whole(flowed)} events meanwhile: told after p50 ${spread.p50_ms} ms, ` +
      `p99 ${spread.p99_ms} ms, at most ${spread.max_ms} ms.\n${whole(atOnce.exits)} in the same millisecond: p50 ${atOnce.p50_ms} ms, ` +
      `p99 ${atOnce.p99_ms} ms, at most ${atOnce.max_ms} ms. ${short(cpuUs)} µs CPU each; segmentation took ${whole(peakMb)} MB at most.`,
  );
  if (exits !== plan.people || wrong > 0) {
    throw new Error(
      `${exits} exits of ${plan.people} customers, ${wrong} of them twice or in the name of another moment`,
    );
  }
  const p99 = quantile([...lateness.spread, ...lateness.atOnce], 0.99);
  if (p99 > LATE_MS) console.log(`late: p99 of all is ${p99} ms, more than ${LATE_MS} ms`);
  const detail = { people: plan.people, flowed, spread, at_once: atOnce, segmentation_peak_mb: peakMb };
  return { bench: 'windows', value: p99, unit: 'ms', ratio: null, cpuUsPerEvent: cpuUs, detail };
}
