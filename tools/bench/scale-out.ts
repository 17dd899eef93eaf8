import { setTimeout as sleep } from 'node:timers/promises';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { PartitionWatch } from '#tools/cluster/partition-watch.ts';
import { Quiescence } from '#tools/e2e/quiescence.ts';
import { type Balance, balances, SEGMENT } from '#tools/faults/check.ts';
import { Ledger } from '#tools/faults/ledger.ts';
import { Load } from '#tools/faults/load.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, readCpu, total } from './cpu.ts';
import { benchSegments, createSegments, createTemplate, SIGNED_UP, startJourney } from './definitions.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { byService, SCALED, type WarmReplicas, warmReplicas, warmText } from './warm-replicas.ts';

const COUNTS = [1, 3, 1] as const;
const RATE = 1_000;
/** A part with so many replicas; what a new process costs to begin with is over by the time CPU is counted. */
const SECONDS = 35;
const BEGINNING_MS = 15_000;
const IDLE_MS = 5_000;
const WARM_UP_MS = 15_000;

/** One part of the run, with a steady number of replicas. */
interface Part {
  readonly replicas: number;
  readonly perSecond: number;
  /** Longest time a partition stood while replicas came or went, and after, ms. */
  readonly changing: { ms: number; who: string };
  readonly steady: { ms: number; who: string };
  readonly moved: Record<string, number>;
  readonly spread: Record<string, number[]>;
  /** µs per event, all replicas of a service together. */
  readonly cpu: Record<string, number>;
}

/**
 * Steady load, and profile and segmentation go from one replica to three and back meanwhile. Then, in a cluster of its own, what
 * an event costs with one and with three that are warm.
 */
export async function scaleOut(options: BenchOptions): Promise<BenchResult> {
  const cluster = await startBenchCluster(options);
  let moved: Omit<BenchResult, 'ratio' | 'cpuUsPerEvent'>;
  try {
    moved = await run(cluster, (options.seconds ?? SECONDS) * 1000);
  } finally {
    await cluster.stop();
  }
  return withCpu(moved, await warmReplicas(options));
}

function withCpu(moved: Omit<BenchResult, 'ratio' | 'cpuUsPerEvent'>, warm: WarmReplicas): BenchResult {
  console.log(`\n${warmText(warm)}`);
  const three = warm.turns.filter(({ load, replicas }) => load === 'steady' && replicas > 1);
  return {
    ...moved,
    ratio: median(warm.ratios.steady ?? []),
    cpuUsPerEvent: median(three.map(({ cpu }) => total(cpu))),
    detail: { ...moved.detail, warm },
  };
}

async function run(cluster: Cluster, partMs: number): Promise<Omit<BenchResult, 'ratio' | 'cpuUsPerEvent'>> {
  const { ingestHttp: url, writeKeys, clickhouseHttp, mailboxHttp } = cluster.endpoints;
  const api = connectApi(cluster.endpoints);
  const quiescence = new Quiescence(cluster);
  const ledger = new Ledger();
  const load = new Load({
    url,
    writeKey: writeKeys.web as string,
    ledger,
    random: Math.random,
    rate: RATE,
    run: 'scale',
  });
  const watch = new PartitionWatch(cluster);
  try {
    await define(cluster, quiescence, api);
    const idle = await idleCpu(cluster);
    load.start();
    await sleep(WARM_UP_MS);
    const parts: Part[] = [];
    for (const [n, count] of COUNTS.entries()) {
      parts.push(await part(cluster, { watch, ledger, partMs, change: n > 0 ? count : undefined }));
      console.log(describe(parts.at(-1) as Part));
    }
    await load.stop();
    await watch.stop();
    await quiescence.reached('everything acknowledged to have all its effects');
    return report(parts, idle, ledger, await balances(ledger, { api, clickhouseHttp, mailboxHttp }));
  } finally {
    await quiescence.close();
    closeApi(api);
  }
}

async function define(cluster: Cluster, quiescence: Quiescence, api: ReturnType<typeof connectApi>): Promise<void> {
  const rule = Rule.fromPartial({ orders: { count: { atLeast: 1 } } });
  const segments = [Segment.fromPartial({ id: SEGMENT, rule }), ...benchSegments()];
  await createSegments(api, segments);
  await createTemplate(api, 'signed_up', 'Welcome');
  await startJourney(api, SIGNED_UP);
  await quiescence.defined({ segmentation: segments.length, journey: 1, messaging: 1 });
  console.log(
    `${segments.length} segments, 1 journey, ${cluster.settings.partitions} partitions, ${RATE} events/s all the time`,
  );
}

/** What a process of each costs when nothing comes, µs a second: with little load this is much of what an event costs. */
async function idleCpu(cluster: Cluster): Promise<Record<string, number>> {
  const before = readCpu(processesOf(cluster));
  await sleep(IDLE_MS);
  const all = cpuBetween(before, readCpu(processesOf(cluster)));
  return byStage((stage) => (all[stage] ?? 0) / (IDLE_MS / 1000));
}

interface PartOptions {
  readonly watch: PartitionWatch;
  readonly ledger: Ledger;
  readonly partMs: number;
  /** Replicas to scale to first. */
  readonly change: number | undefined;
}

async function part(cluster: Cluster, { watch, ledger, partMs, change }: PartOptions): Promise<Part> {
  const started = performance.now();
  const accepted = ledger.acknowledged.size;
  const moves = watch.moves.length;
  if (change !== undefined) await Promise.all(SCALED.map((service) => cluster.scale(service, change)));
  await sleep(Math.max(0, BEGINNING_MS - (performance.now() - started)));
  const changing = watch.longest(started);
  const [from, events, cpu] = [performance.now(), ledger.acknowledged.size, readCpu(processesOf(cluster))];
  await sleep(partMs - (from - started));
  const counted = ledger.acknowledged.size - events;
  const seconds = (performance.now() - started) / 1000;
  return {
    replicas: cluster.members.filter(({ role }) => role === SCALED[0]).length,
    perSecond: (ledger.acknowledged.size - accepted) / seconds,
    changing,
    steady: watch.longest(from),
    moved: byStage((stage) => watch.moves.slice(moves).filter(({ who }) => who.startsWith(`${stage}.`)).length),
    spread: byStage((stage) => Object.values(watch.owners(stage)).sort((a, b) => b - a)),
    cpu: byService(cpu, readCpu(processesOf(cluster)), counted),
  };
}

const byStage = <T>(of: (stage: string) => T): Record<string, T> =>
  Object.fromEntries(SCALED.map((stage) => [stage, of(stage)]));

function describe(part: Part): string {
  const { replicas, perSecond, changing, steady, moved, spread, cpu } = part;
  const stages = SCALED.map(
    (stage) => `${stage} moved ${moved[stage]}, has ${spread[stage]?.join('/')}, ${short(cpu[stage] ?? 0)} µs`,
  );
  return (
    `${replicas} each: ${whole(perSecond)} events/s; longest pause ${whole(changing.ms)} ms (${changing.who}) in the change, ` +
    `${whole(steady.ms)} ms after; ${stages.join('; ')}; all processes ${short(total(cpu))} µs CPU per event`
  );
}

function report(
  parts: readonly Part[],
  idle: Record<string, number>,
  ledger: Ledger,
  found: readonly Balance[],
): Omit<BenchResult, 'ratio' | 'cpuUsPerEvent'> {
  const lost = found.reduce((sum, each) => sum + each.lost, 0);
  const double = found.reduce((sum, each) => sum + each.duplicated, 0);
  for (const { what, expected, lost: short, duplicated, examples } of found) {
    console.log(`${what}: ${whole(expected)}, ${short} lost, ${duplicated} double ${examples.join('; ')}`);
  }
  if (lost + double > 0) throw new Error(`${lost} lost, ${double} double`);
  const worst = Math.max(...parts.slice(1).map(({ changing }) => changing.ms));
  return {
    bench: 'scale-out',
    value: worst,
    unit: 'ms',
    detail: {
      rate: RATE,
      accepted: ledger.acknowledged.size,
      refusals: ledger.refusals,
      lost,
      double,
      idle_us_per_second: idle,
      parts,
    },
  };
}
