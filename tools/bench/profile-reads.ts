import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { sql } from '#tools/library/sql.ts';
import { Arrival } from './arrival.ts';
import { type Batch, batchesOf, shopEvents } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, perEvent, readCpu } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import type { ReadingTask, ReadingTimes } from './read-at-rate.worker.ts';
import { type BenchResult, quantile, short, whole } from './result.ts';
import { grpcSender, sendAll } from './send.ts';

const CALLS_PER_SECOND = 2_000;
const EVENTS_PER_SECOND = 1_000;
const SECONDS = 20;
const WARM_UP_SECONDS = 5;
/** Events before anything is measured. */
const STORED = 100_000;
const PATIENCE_MS = 300_000;
/** Different customers read. */
const MOST_READ = 5_000;
/** How long GetProfile takes at a steady rate of calls, while events flow. */
export async function profileReads(options: BenchOptions): Promise<BenchResult> {
  const seconds = options.seconds ?? SECONDS;
  const flowing = (seconds + WARM_UP_SECONDS + 5) * EVENTS_PER_SECOND;
  const batches = [...batchesOf(shopEvents(options.people, STORED + flowing), { from: 50, to: 50 })];
  const cluster = await startBenchCluster({
    ...options,
    without: [...options.without, 'mailbox', 'journey', 'messaging'],
  });
  try {
    const ids = await fill(cluster, batches.splice(0, STORED / 50));
    const stop = flow(cluster, batches);
    await readAtRate(cluster, ids, WARM_UP_SECONDS);
    const processes = [...processesOf(cluster), { name: 'caller', pid: process.pid }];
    const before = readCpu(processes);
    const { latencies, late } = await readAtRate(cluster, ids, seconds);
    const cores = perEvent(cpuBetween(before, readCpu(processes)), seconds * 1e6);
    const sent = await stop();
    const [p50, p99, p999] = quantiles(latencies, [0.5, 0.99, 0.999]);
    const [lateP99, lateMost] = quantiles(late, [0.99, 1]);
    const coresText = Object.entries(cores)
      .map(([name, used]) => `${name} ${short(used, 2)}`)
      .join(', ');
    console.log(
      `\n${whole(latencies.length)} GetProfile calls of ${whole(ids.length)} customers at ${whole(latencies.length / seconds)}/s, ` +
        `${whole(sent)} events meanwhile: p50 ${short(p50, 2)} ms, p99 ${short(p99, 2)} ms, p99.9 ${short(p999, 2)} ms. ` +
        `The caller's own part: p99 ${short(lateP99, 2)} ms. Cores: ${coresText}.`,
    );
    const detail = {
      calls: latencies.length,
      customers: ids.length,
      events: sent,
      p50_ms: p50,
      p999_ms: p999,
      late_p99_ms: lateP99,
      late_ms: lateMost,
      cores,
    };
    return { bench: 'profile-reads', value: p99, unit: 'ms', ratio: null, cpuUsPerEvent: null, detail };
  } finally {
    await cluster.stop();
  }
}

function quantiles<const S extends readonly number[]>(values: Float64Array, shares: S): { [I in keyof S]: number } {
  const all = [...values];
  return shares.map((share) => quantile(all, share)) as { [I in keyof S]: number };
}

/** Stores events, and tells whose they are. */
async function fill(cluster: Cluster, batches: readonly Batch[]): Promise<string[]> {
  const sender = grpcSender(cluster.endpoints.grpc.ingest, cluster.endpoints.apiToken);
  const arrival = await Arrival.open(cluster);
  await sendAll(batches, 8, sender.send);
  await arrival.everywhere(PATIENCE_MS);
  await arrival.close();
  await sender.close();
  const rows = await sql<{ id: string }>(
    cluster.endpoints.clickhouseHttp,
    'SELECT customer_id AS id FROM v_customers LIMIT 100000',
  );
  const { grpc, apiToken: token } = cluster.endpoints;
  const profile = createClient(ProfileServiceClient, grpc.profile, { token, deadlineMs: 20_000 });
  const { notFound } = await profile.batchGetProfiles({
    customerIds: rows.slice(0, 1_000).map(({ id }) => id),
    readMask: ['orders'],
  });
  profile.close();
  if (rows.length === 0 || notFound.length > 0)
    throw new Error(`profiles of ${notFound.length} customers are not there`);
  return rows.map(({ id }) => id);
}

/** Sends events at a steady rate until told to stop; says how many. */
function flow(cluster: Cluster, batches: readonly Batch[]): () => Promise<number> {
  const sender = grpcSender(cluster.endpoints.grpc.ingest, cluster.endpoints.apiToken);
  let stopped = false;
  let sent = 0;
  const running = (async () => {
    const started = performance.now();
    for (const batch of batches) {
      if (stopped) break;
      const due = started + (sent * 1_000) / EVENTS_PER_SECOND;
      if (due > performance.now()) await sleep(due - performance.now());
      await sender.send(batch);
      sent += batch.count;
    }
  })();
  return async () => {
    stopped = true;
    await running;
    await sender.close();
    return sent;
  };
}

/** Calls at a fixed rate from a thread of its own, so that neither the events sent meanwhile nor their garbage is measured. */
async function readAtRate({ endpoints }: Cluster, ids: readonly string[], seconds: number): Promise<ReadingTimes> {
  const task: ReadingTask = {
    address: endpoints.grpc.profile,
    token: endpoints.apiToken,
    ids: ids.slice(0, MOST_READ),
    perSecond: CALLS_PER_SECOND,
    seconds,
  };
  const worker = new Worker(new URL('./read-at-rate.worker.ts', import.meta.url), {
    workerData: task,
  });
  // Its end may be told in the same moment as its message.
  const [[times]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return times as ReadingTimes;
}
