import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { SERVICES } from '#tools/cluster/roles.ts';
import { Child } from '#tools/servers/child.ts';
import { pinnedNode, plainEnv, ROOT, saysOk } from '#tools/servers/node.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { Arrival } from './arrival.ts';
import { type Batch, eventsIn } from './batches.ts';
import { startBenchCluster } from './cluster.ts';
import { perEvent, total } from './cpu.ts';
import { checkCounts, define, describe, makeChunks, type Turn, turnOfOurs } from './e2e.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, median, short } from './result.ts';

const WARM_UP = 40_000;
/** Longer than a span waits for others. */
const EXPORT_MS = 4_000;

/** What share of requests is traced; undefined: tracing is off. */
const VARIANTS = { off: undefined, hundredth: '0.01', all: '1' } as const;
type Variant = keyof typeof VARIANTS;
const NAMES = Object.keys(VARIANTS) as Variant[];

interface Side {
  readonly cluster: Cluster;
  readonly arrival: Arrival;
  readonly turns: Turn[];
}

/** CPU of the same events through clusters that trace nothing, some and all, in turns. */
export async function tracing(options: BenchOptions): Promise<BenchResult> {
  const rounds = options.rounds ?? 4;
  const events = options.events ?? rounds * 50_000;
  const chunks = makeChunks(options.people, events, rounds, WARM_UP);
  const sent = eventsIn(chunks.flat());
  const { child: collector, url } = await startCollector();
  const sides = new Map<Variant, Side>();
  try {
    for (const name of NAMES) sides.set(name, await startSide(options, url, VARIANTS[name]));
    for (const [round, chunk] of chunks.entries()) await takeTurns(sides, chunk, round);
    const spans: Partial<Record<Variant, Spans>> = {};
    for (const [name, { cluster, arrival }] of sides) {
      await checkCounts(cluster, options, sent);
      await arrival.close();
      if (name !== 'off') spans[name] = await spansOf(cluster);
    }
    return report(sides, spans, sent);
  } finally {
    for (const { cluster } of sides.values()) await cluster.stop();
    await collector.stop();
  }
}

async function startCollector(): Promise<{ child: Child; url: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-bench-collector-'));
  deleteWithUs(dir);
  const port = await privatePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await Child.start({
    name: 'collector',
    command: pinnedNode(),
    args: [join(ROOT, 'tools/collector/main.ts'), '--port', String(port), '--keep', '1000', '--quiet'],
    env: plainEnv(),
    logFile: join(dir, 'collector.log'),
    ready: () => saysOk(`${url}/readyz`),
  });
  return { child, url };
}

async function startSide(options: BenchOptions, url: string, ratio: string | undefined): Promise<Side> {
  const env: Record<string, string> =
    ratio === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_SAMPLER_ARG: ratio };
  const cluster = await startBenchCluster({ ...options, env });
  await define(cluster);
  return { cluster, arrival: await Arrival.open(cluster), turns: [] };
}

async function takeTurns(sides: ReadonlyMap<Variant, Side>, chunk: readonly Batch[], round: number): Promise<void> {
  for (let i = 0; i < NAMES.length; i++) {
    // Whoever goes first meets a machine that just rested: that must not always be the same one.
    const name = NAMES[(round + i) % NAMES.length] as Variant;
    const { cluster, arrival, turns } = sides.get(name) as Side;
    const turn = withoutSenders(await turnOfOurs(cluster, arrival, chunk));
    // The first warms up compilers and caches.
    if (round > 0) turns.push(turn);
    console.log(describe(round === 0 ? 'warm-up' : name, turn));
  }
}

/** The senders are we ourselves. */
function withoutSenders(turn: Turn): Turn {
  const { generator: _, ...cpu } = turn.cpu;
  return { ...turn, cpu };
}

interface Spans {
  exported: number;
  failed: number;
  dropped: number;
}

/** @throws Error when there are none, or some were lost: then less was measured than is claimed */
async function spansOf(cluster: Cluster): Promise<Spans> {
  const spans: Spans = { exported: 0, failed: 0, dropped: 0 };
  await new Promise((resolve) => setTimeout(resolve, EXPORT_MS));
  for (const { name } of cluster.members.filter(({ role }) => SERVICES.some((service) => service === role))) {
    const text = await (await fetch(`${cluster.endpoints.httpOf(name)}/metrics`)).text();
    for (const [, outcome, value] of text.matchAll(/^recur_trace_spans_total\{.*outcome="(\w+)".*\} (\d+)/gm)) {
      spans[outcome as keyof Spans] += Number(value);
    }
  }
  if (spans.exported === 0 || spans.failed + spans.dropped > 0) {
    throw new Error(`spans: ${JSON.stringify(spans)}; all of them have to arrive`);
  }
  return spans;
}

function report(sides: ReadonlyMap<Variant, Side>, spans: Partial<Record<Variant, Spans>>, sent: number): BenchResult {
  const turnsOf = (name: Variant) => (sides.get(name) as Side).turns;
  const cpuOf = (name: Variant) => turnsOf(name).map(({ cpu, events }) => total(cpu) / events);
  const off = cpuOf('off');
  const over = (name: Variant) => cpuOf(name).map((us, i) => us / (off[i] as number));
  const rounds = { hundredth: over('hundredth'), all: over('all') };
  const ratios = { hundredth: median(rounds.hundredth), all: median(rounds.all) };
  const cpu = { off: median(off), hundredth: median(cpuOf('hundredth')), all: median(cpuOf('all')) };
  const byProcess = NAMES.map((name) => {
    const turns = turnsOf(name).map((turn) => perEvent(turn.cpu, turn.events));
    const processes = Object.keys(turns[0] ?? {});
    return [name, Object.fromEntries(processes.map((p) => [p, median(turns.map((turn) => turn[p] ?? 0))]))];
  });
  console.log(
    `\n${short(cpu.off)} µs CPU per event with tracing off; ${short(cpu.hundredth)} with one request in a hundred traced ` +
      `(ratio ${short(ratios.hundredth, 3)}), ${short(cpu.all)} with all of them (ratio ${short(ratios.all, 3)})`,
  );
  return {
    bench: 'tracing',
    value: cpu.all,
    unit: 'µs CPU/event',
    ratio: ratios.all,
    cpuUsPerEvent: cpu.all,
    detail: {
      ...{ cpu_us: cpu, ratios, ratios_by_round: rounds, spans },
      spans_per_1000_events: ((spans.all?.exported ?? 0) / sent) * 1_000,
      cpu_us_by_process: Object.fromEntries(byProcess),
    },
  };
}
