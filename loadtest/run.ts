import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { ROOT } from '#tools/servers/node.ts';
import { ensureK6 } from './ensure-k6.ts';

export const LOADS = ['smoke', 'steady', 'spike', 'soak', 'scale-out'] as const;
export type Load = (typeof LOADS)[number];

export interface LoadOptions {
  /** Events a second (spike: before it). The script's own when left out. */
  rate?: number | undefined;
  seconds?: number | undefined;
  partitions?: number | undefined;
  /** Says what goes on, a line at a time; k6's own lines too. */
  say: (line: string) => void;
}

export interface CallFigures {
  call: string;
  calls: number;
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  max_ms: number;
  error_rate: number;
  refused_rate: number;
}

interface Summary {
  seconds: number;
  accepted_events: number;
  unanswered_events: number;
  dropped_iterations: number;
  calls: CallFigures[];
  broken_thresholds: string[];
}

export interface LoadReport extends Summary {
  load: Load;
  machine: string;
  /** One-minute load of the machine just before: what else ran on it. */
  load_before: number;
  events_per_second: number;
  /** From the end of the load until every event was in ClickHouse. */
  drain_seconds: number;
  /** Accepted and not in ClickHouse a minute after the end. */
  lost: number;
  /** More often in ClickHouse than once. */
  double: number;
  passed: boolean;
}

/** Starts a cluster of its own on free ports, plays the load against it, and counts what arrived. */
export async function runLoad(load: Load, options: LoadOptions): Promise<LoadReport> {
  const { say, partitions = 4 } = options;
  const k6 = await ensureK6(say);
  const loadBefore = Math.round((loadavg()[0] ?? 0) * 100) / 100;
  say('Starting a cluster …');
  const cluster = await startCluster({ clock: 'live', partitions, logLevel: 'warn', progress: () => {} });
  try {
    const moves = load === 'scale-out' ? scaleOutAndIn(cluster, options) : undefined;
    const summary = await play(k6, load, cluster, options);
    await moves;
    say('Waiting until everything is in ClickHouse …');
    const ended = performance.now();
    const arrived = await settle(cluster, summary.accepted_events);
    const drain = (performance.now() - ended) / 1000;
    const lost = Math.max(0, summary.accepted_events - arrived.ids);
    const double = arrived.rows - arrived.ids;
    return {
      load,
      machine: machine(),
      load_before: loadBefore,
      ...summary,
      events_per_second: Math.round(summary.accepted_events / summary.seconds),
      drain_seconds: Math.round(drain * 10) / 10,
      lost,
      double,
      passed: summary.broken_thresholds.length === 0 && summary.accepted_events > 0 && lost === 0 && double === 0,
    };
  } finally {
    await cluster.stop();
  }
}

async function play(k6: string, load: Load, cluster: Cluster, { rate, seconds, say }: LoadOptions): Promise<Summary> {
  const { endpoints } = cluster;
  const summaryFile = join(cluster.dir, 'k6-summary.json');
  const variables = {
    INGEST_URL: endpoints.ingestHttp,
    INGEST_ADDR: endpoints.grpc.ingest,
    PROFILE_ADDR: endpoints.grpc.profile,
    WRITE_KEY: endpoints.writeKey,
    API_TOKEN: endpoints.apiToken,
    PROTO: join(ROOT, 'proto'),
    SUMMARY: summaryFile,
    ...(rate === undefined ? {} : { RATE: String(rate) }),
    ...(seconds === undefined ? {} : { SECONDS: String(seconds) }),
  };
  const flags = ['run', '--quiet', '--no-color', '--no-usage-report', '--address', '', '--log-output', 'stderr'];
  say(`k6 plays ${load} …`);
  // By environment: a write key on a command line is everybody's to see.
  const child = spawn(k6, [...flags, '--include-system-env-vars', join(ROOT, `loadtest/scripts/${load}.js`)], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const last: string[] = [];
  const hear = (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n').filter(Boolean)) {
      say(line);
      last.push(line);
    }
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const [code] = (await once(child, 'close')) as [number | null];
  // 99: thresholds are broken, which the summary tells.
  if (code !== 0 && code !== 99) throw new Error(`k6 ended with ${code}: ${last.slice(-5).join('\n')}`);
  return JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary;
}

/** Three replicas of profile and segmentation from a third of the load on, one again after two thirds. */
async function scaleOutAndIn(cluster: Cluster, { seconds = 90, say }: LoadOptions): Promise<void> {
  for (const count of [3, 1]) {
    await sleep((seconds / 3) * 1000);
    for (const service of ['profile', 'segmentation'] as const) await cluster.scale(service, count);
    say(`profile and segmentation: ${count} ${count === 1 ? 'replica' : 'replicas'}`);
  }
}

/** Rows and message ids of this load in ClickHouse, once there are as many as were accepted; what there is after a minute. */
async function settle(cluster: Cluster, accepted: number): Promise<{ rows: number; ids: number }> {
  const until = performance.now() + 60_000;
  for (;;) {
    const arrived = await count(cluster);
    if (arrived.ids >= accepted || performance.now() > until) return arrived;
    await sleep(250);
  }
}

async function count(cluster: Cluster): Promise<{ rows: number; ids: number }> {
  const query =
    "SELECT count() AS rows, uniqExact(message_id) AS ids FROM recur.events WHERE message_id LIKE 'k6-%' FORMAT JSONEachRow";
  const answer = await fetch(cluster.endpoints.clickhouseHttp, { method: 'POST', body: query });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`ClickHouse: ${text}`);
  const { rows, ids } = JSON.parse(text) as Record<'rows' | 'ids', string | number>;
  return { rows: Number(rows), ids: Number(ids) };
}

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}; k6, servers and services all on it`;
}
