import { Redis } from 'ioredis';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { Step, StepAction } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { until } from '#tools/library/progress.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { Arrival } from './arrival.ts';
import { batchesOf } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import { startJourney } from './definitions.ts';
import type { BenchOptions } from './options.ts';
import { readAll } from './read-all.ts';
import { type BenchResult, quantile, short, whole } from './result.ts';
import { grpcSender, sendAll } from './send.ts';

const WAITS = 1_000_000;
const WAIT_SECONDS = 240;
const PATIENCE_MS = 600_000;
const SAMPLE = 2_000;

const JOURNEY = (seconds: number) => `
id: waiting
name: Waiting
definition:
  trigger: { event: { name: Wait Begun } }
  start: wait
  nodes:
    - { id: wait, wait: { duration: PT${seconds}S, next: end } }
    - { id: end, exit: { reason: done } }`;

function* begins(customers: number): Generator<ShopEvent> {
  for (let i = 0; i < customers; i++) {
    const timestamp = new Date().toISOString();
    yield {
      channel: 'web',
      type: 'track',
      event: 'Wait Begun',
      userId: `waiter-${i}`,
      messageId: `wait-${i}`,
      timestamp,
    };
  }
}

/**
 * Customers who wait in a journey, each for the same time: what a wait takes, and how punctual its end is.
 *
 * Waits end in the order and at the pace in which they began, as the rest of a cluster lets customers in as fast as it can: a
 * million within about a minute and a half, some 10,000 a second. A wait that begins with an event ends spread like the events,
 * so this is a flood of them a day, a week or a year later, and far denser than that of any one shop's day. That all are
 * due in the same millisecond, as waits for a time of day are, is what `windows` measures of the same kit.
 */
export async function timers(options: BenchOptions): Promise<BenchResult> {
  const waits = options.events ?? WAITS;
  const seconds = options.seconds ?? WAIT_SECONDS;
  const cluster = await startBenchCluster({
    ...options,
    only: ['nats', 'redis', 'ingest', 'identity', 'profile', 'segmentation', 'journey'],
  });
  const { grpc, apiToken } = cluster.endpoints;
  const journey = createClient(JourneyServiceClient, grpc.journey, { token: apiToken, deadlineMs: 20_000 });
  const arrival = await Arrival.open(cluster);
  try {
    await startJourney({ journey }, JOURNEY(seconds));
    const begun = Date.now();
    const set = await setAll(cluster, arrival, waits);
    const setSeconds = (Date.now() - begun) / 1_000;
    console.log(`${whole(waits)} waits set in ${short(setSeconds)} s, through ingest, identity and the stages before`);
    if (setSeconds > seconds - 30)
      throw new Error(`The first waits ended before all were set: --seconds ${Math.ceil(setSeconds * 1.5) + 60}`);
    const bytes = await bytesPerWait(cluster.endpoints.redisUrl, options.partitions);
    const restartSeconds = await restarted(cluster);
    console.log(
      `${short(bytes.all)} bytes of Redis each (${short(bytes.timer)} the timer, ${short(bytes.state)} who is where); ` +
        `journey killed and back in ${short(restartSeconds)} s`,
    );
    const fired = await firedAll(cluster, waits, begun + seconds * 1_000 + setSeconds * 1_000);
    const late = await latenessOf(cluster.endpoints.natsUrl, seconds * 1_000);
    if (late.length !== waits) throw new Error(`${late.length} of ${waits} waits ended`);
    const [p50, p99, max] = [quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)];
    console.log(
      `all ended, ${whole(fired.perSecond)}/s at the most, ${short(fired.cpu)} µs CPU of journey each; ` +
        `late by ${whole(p50)} ms (p50), ${whole(p99)} (p99), ${whole(max)} at the worst`,
    );
    return {
      bench: 'timers',
      value: p99,
      unit: 'ms',
      ratio: null,
      cpuUsPerEvent: fired.cpu,
      detail: {
        ...{ waits, set_per_second: waits / setSeconds, set_cpu_us: set.cpu, fired_per_second: fired.perSecond },
        ...{ p50_ms: p50, max_ms: max, bytes, restart_s: restartSeconds },
      },
    };
  } finally {
    journey.close();
    await arrival.close();
    await cluster.stop();
  }
}

async function setAll(cluster: Cluster, arrival: Arrival, waits: number): Promise<{ cpu: number }> {
  const { grpc, apiToken } = cluster.endpoints;
  const sender = grpcSender(grpc.ingest, apiToken, 2);
  const processes = processesOf(cluster);
  const before = readCpu(processes);
  const batches = [...batchesOf(begins(waits), { from: 400, to: 500 })];
  await sendAll(batches, 8, sender.send);
  await sender.close();
  await arrival.everywhere(PATIENCE_MS);
  return { cpu: (cpuBetween(before, readCpu(processes)).journey ?? Number.NaN) / waits };
}

/** What journey keeps for a wait: its place among the timers, and the customer's state, from a sample of them. */
async function bytesPerWait(redisUrl: string, partitions: number) {
  const redis = new Redis(redisUrl);
  try {
    const found = { timers: 0, timerBytes: 0, states: 0, stateBytes: 0 };
    for (let partition = 0; partition < partitions; partition++) {
      const tag = stageTag('journey', partition);
      found.timers += await redis.zcard(`${tag}:t`);
      found.timerBytes += Number(await redis.call('MEMORY', 'USAGE', `${tag}:t`, 'SAMPLES', String(SAMPLE)));
      // Customers are in buckets: the share of each in its own.
      const buckets = ['', ...(await redis.zrange(`${tag}:b`, '0', String(Math.ceil(SAMPLE / partitions / 32))))];
      for (const low of buckets) {
        found.states += await redis.hlen(`${tag}:b:${low}`);
        found.stateBytes += Number(await redis.memory('USAGE', `${tag}:b:${low}`));
      }
    }
    const [timer, state] = [found.timerBytes / found.timers, found.stateBytes / found.states];
    return { all: timer + state, timer, state };
  } finally {
    redis.disconnect();
  }
}

/** From a kill to being ready again, all waits pending. */
async function restarted(cluster: Cluster): Promise<number> {
  const journey = cluster.process('journey');
  await journey.kill9();
  const started = performance.now();
  await cluster.start();
  await until('journey to be ready', async () => {
    const answer = await fetch(`${cluster.endpoints.httpOf('journey')}/readyz`).catch(() => undefined);
    return answer?.ok === true;
  });
  return (performance.now() - started) / 1_000;
}

/** Watches the timers go down; how many a second in the best second, and what they cost. */
async function firedAll(cluster: Cluster, waits: number, endMs: number): Promise<{ perSecond: number; cpu: number }> {
  const redis = new Redis(cluster.endpoints.redisUrl);
  const { partitions } = cluster.settings;
  const processes = processesOf(cluster).filter(({ name }) => name === 'journey');
  const before = readCpu(processes);
  let [left, at, perSecond] = [waits, performance.now(), 0];
  try {
    while (left > 0) {
      if (Date.now() > endMs + PATIENCE_MS) throw new Error(`${left} waits have not ended`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const counts = await Promise.all(
        Array.from({ length: partitions }, (_, p) => redis.zcard(`${stageTag('journey', p)}:t`)),
      );
      const now = counts.reduce((sum, n) => sum + n, 0);
      perSecond = Math.max(perSecond, ((left - now) * 1_000) / (performance.now() - at));
      [left, at] = [now, performance.now()];
    }
  } finally {
    redis.disconnect();
  }
  return { perSecond, cpu: (cpuBetween(before, readCpu(processes)).journey ?? Number.NaN) / waits };
}

/** From the moment each wait was due to the place of its end in the log, ms. */
async function latenessOf(natsUrl: string, waitMs: number): Promise<number[]> {
  const begun = new Map<string, number>();
  const late: number[] = [];
  await readAll(natsUrl, STREAMS.log.name, ['log.*.step'], ({ data, storedAt }) => {
    for (const { kind, customerId, timeMs, body } of decodeFrame(data).records) {
      if (kind !== RecordKind.RECORD_KIND_STEP) continue;
      const { action } = Step.decode(body);
      if (action === StepAction.STEP_ACTION_ENROLLED) begun.set(customerId, timeMs);
      if (action === StepAction.STEP_ACTION_EXITED)
        late.push(storedAt - ((begun.get(customerId) ?? Number.NaN) + waitMs));
    }
  });
  return late;
}
