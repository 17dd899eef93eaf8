import { setTimeout as sleep } from 'node:timers/promises';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { PartitionWatch } from '#tools/cluster/partition-watch.ts';
import { metricsOf, metricValues, until } from '#tools/library/progress.ts';
import { Arrival } from './arrival.ts';
import { type Batch, batchesOf, eventsIn, shopEvents } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { type CpuReading, cpuBetween, readCpu, readWakes } from './cpu.ts';
import { benchSegments, createSegments } from './definitions.ts';
import type { BenchOptions } from './options.ts';
import { median, short, whole } from './result.ts';
import { httpSender, sendAll } from './send.ts';

export const SCALED = ['profile', 'segmentation'] as const;
const REPLICAS = 3;
/** Each of three has had a third of it before anything counts: a process goes on compiling for its first hundred thousand events. */
const WARM_UP = 600_000;
/** Events a second, and in a turn; the backlog is sent as fast as it is taken. */
const LOADS = [
  { load: 'steady', rate: 5_000, events: 75_000 },
  { load: 'backlog', rate: Number.POSITIVE_INFINITY, events: 150_000 },
] as const;
const ROUNDS = 4;
const SIZES = { from: 50, to: 150 };
const LANES = 8;
const PATIENCE_MS = 300_000;
/** After partitions have moved, until what that costs is over. */
const SETTLING_MS = 2_000;
const IDLE_MS = 10_000;
const WITHOUT = ['journey', 'messaging', 'analytics', 'mailbox'] as const;

/** So many events, until all are in the stores, with so many replicas of each. */
export interface Turn {
  readonly load: (typeof LOADS)[number]['load'] | 'warm-up';
  readonly replicas: number;
  readonly events: number;
  readonly seconds: number;
  /** µs an event, all replicas of a service together; NATS, Redis, ingest and identity too. */
  readonly cpu: Record<string, number>;
  /** Steps in a batch and in a commit, by stage. */
  readonly batch: Record<string, number>;
  readonly commit: Record<string, number>;
  /** How often a process of them was woken for a thousand events, by service. */
  readonly wakes: Record<string, number>;
}

export interface WarmReplicas {
  readonly turns: readonly Turn[];
  /** CPU of a service when nothing comes, µs a second, all its replicas together, by how many they are. */
  readonly idle: Readonly<Record<number, Record<string, number>>>;
  /** CPU an event of both services, three replicas over one, pair by pair, by load. */
  readonly ratios: Readonly<Record<string, readonly number[]>>;
  /** The same, with what they cost idle taken off. */
  readonly netRatios: Readonly<Record<string, readonly number[]>>;
}

/**
 * What an event costs with one and with three replicas of profile and segmentation, of which none is young: all three are warmed
 * up, and when one is to work alone the others are stopped (SIGSTOP) until their leases are over, and go on later as they were.
 */
export async function warmReplicas(options: BenchOptions): Promise<WarmReplicas> {
  const rounds = options.rounds ?? ROUNDS;
  const total = WARM_UP + 2 * rounds * LOADS.reduce((sum, { events }) => sum + events, 0);
  const source = batchesOf(shopEvents(options.people, 2 * total), SIZES);
  const cluster = await startBenchCluster({ ...options, without: WITHOUT });
  const arrival = await Arrival.open(cluster);
  const world = { cluster, arrival, source };
  try {
    await define(cluster);
    await Promise.all(SCALED.map((service) => cluster.scale(service, REPLICAS)));
    await work(cluster, REPLICAS);
    console.log(describe(await turn(world, REPLICAS, { load: 'warm-up', rate: LOADS[1].rate, events: WARM_UP })));
    const idle: Record<number, Record<string, number>> = { [REPLICAS]: await idleCpu(cluster) };
    await work(cluster, 1);
    idle[1] = await idleCpu(cluster);
    return { idle, ...compare(await takeTurns(world, rounds), idle) };
  } finally {
    // Who stands still cannot end in order.
    for (const name of resting(cluster)) cluster.process(name).resume();
    await arrival.close();
    await cluster.stop();
  }
}

interface World {
  readonly cluster: Cluster;
  readonly arrival: Arrival;
  readonly source: Iterator<Batch>;
}

async function define({ endpoints }: Cluster): Promise<void> {
  const { grpc, apiToken } = endpoints;
  const client = createClient(SegmentationServiceClient, grpc.segmentation, { token: apiToken, deadlineMs: 20_000 });
  try {
    await createSegments({ segmentation: client }, benchSegments());
  } finally {
    client.close();
  }
}

/** One and three take turns, and who is first too: what disturbs one pair disturbs both of it. */
async function takeTurns(world: World, rounds: number): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (const load of LOADS) {
    for (let i = 0; i < 2 * rounds; i++) {
      const replicas = [0, 3].includes(i % 4) ? 1 : REPLICAS;
      await work(world.cluster, replicas);
      turns.push(await turn(world, replicas, load));
      console.log(describe(turns.at(-1) as Turn));
    }
  }
  return turns;
}

const replicasOf = (cluster: Cluster, service: string): string[] =>
  cluster.members.filter(({ role }) => role === service).map(({ name }) => name);

const resting = (cluster: Cluster): string[] => SCALED.flatMap((service) => replicasOf(cluster, service).slice(1));

/** Returns when so many of each service share its partitions, and the others stand still. */
async function work(cluster: Cluster, replicas: number): Promise<void> {
  for (const name of resting(cluster)) {
    if (replicas === 1) cluster.process(name).pause();
    else cluster.process(name).resume();
  }
  const watch = new PartitionWatch(cluster);
  try {
    const shared = (service: string) => Object.keys(watch.owners(service)).filter((owner) => owner !== '').length;
    await until(`${replicas} of each to share the partitions`, async () =>
      SCALED.every((service) => shared(service) === replicas),
    );
  } finally {
    await watch.stop();
  }
  await sleep(SETTLING_MS);
}

interface Load {
  readonly load: Turn['load'];
  readonly rate: number;
  readonly events: number;
}

async function turn({ cluster, arrival, source }: World, replicas: number, asked: Load): Promise<Turn> {
  const chunk: Batch[] = [];
  for (let made = 0; made < asked.events; ) {
    const { value } = source.next();
    if (value === undefined) throw new Error(`the sample shop has too few events for ${asked.events} more`);
    chunk.push(value);
    made += value.count;
  }
  const http = httpSender(cluster.endpoints.ingestHttp, cluster.endpoints.writeKeys, LANES);
  const sizesBefore = await sizes(cluster, replicas);
  const processes = processesOf(cluster);
  const wakesBefore = readWakes(processes);
  const [before, started] = [readCpu(processes), performance.now()];
  let due = started;
  await sendAll(chunk, LANES, async (batch) => {
    const wait = due - performance.now();
    due += (batch.count * 1000) / asked.rate;
    if (wait > 0) await sleep(wait);
    await http.send(batch);
  });
  await arrival.everywhere(PATIENCE_MS);
  const [after, seconds] = [readCpu(processes), (performance.now() - started) / 1000];
  const wakes = byService(wakesBefore, readWakes(processes), eventsIn(chunk) / 1_000);
  await http.close();
  const sizesAfter = await sizes(cluster, replicas);
  const events = eventsIn(chunk);
  const per = (of: 'batches' | 'commits') =>
    Object.fromEntries(
      SCALED.map((stage) => {
        const [from, to] = [sizesBefore[stage] as Sizes, sizesAfter[stage] as Sizes];
        return [stage, (to.steps - from.steps) / (to[of] - from[of])];
      }),
    );
  return {
    ...{ load: asked.load, replicas, events, seconds, batch: per('batches'), commit: per('commits') },
    wakes,
    cpu: byService(before, after, events),
  };
}

interface Sizes {
  steps: number;
  batches: number;
  commits: number;
}

/** Of the replicas that work: the others could not answer. */
async function sizes(cluster: Cluster, replicas: number): Promise<Record<string, Sizes>> {
  const found: Record<string, Sizes> = {};
  for (const stage of SCALED) {
    const sum: Sizes = { steps: 0, batches: 0, commits: 0 };
    for (const name of replicasOf(cluster, stage).slice(0, replicas)) {
      const text = await metricsOf(cluster.endpoints.httpOf(name));
      const of = (metric: string) => metricValues(text, metric).reduce((total, { value }) => total + value, 0);
      sum.steps += of('recur_batch_steps_sum');
      sum.batches += of('recur_batch_steps_count');
      sum.commits += of('recur_commit_seconds_count');
    }
    found[stage] = sum;
  }
  return found;
}

async function idleCpu(cluster: Cluster): Promise<Record<string, number>> {
  const before = readCpu(processesOf(cluster));
  await sleep(IDLE_MS);
  return byService(before, readCpu(processesOf(cluster)), IDLE_MS / 1000);
}

/** CPU between two readings by service, µs, over `by`; its replicas are one. */
export function byService(before: CpuReading, after: CpuReading, by: number): Record<string, number> {
  const used: Record<string, number> = {};
  for (const [name, us] of Object.entries(cpuBetween(before, after))) {
    const service = name.replace(/-\d+$/, '');
    used[service] = (used[service] ?? 0) + us / by;
  }
  return used;
}

export const scaledCpu = (cpu: Record<string, number>): number =>
  SCALED.reduce((sum, service) => sum + (cpu[service] ?? 0), 0);

type Idle = Readonly<Record<number, Record<string, number>>>;

const turnsOf = (turns: readonly Turn[], load: string, replicas: number): Turn[] =>
  turns.filter((turn) => turn.load === load && turn.replicas === replicas);

function compare(turns: readonly Turn[], idle: Idle): Omit<WarmReplicas, 'idle'> {
  const gross = ({ cpu }: Turn) => scaledCpu(cpu);
  const net = (turn: Turn) => scaledCpu(turn.cpu) - (scaledCpu(idle[turn.replicas] ?? {}) * turn.seconds) / turn.events;
  const over = (of: (turn: Turn) => number) =>
    Object.fromEntries(
      LOADS.map(({ load }) => {
        const one = turnsOf(turns, load, 1);
        return [load, turnsOf(turns, load, REPLICAS).map((turn, i) => of(turn) / of(one[i] as Turn))];
      }),
    );
  return { turns, ratios: over(gross), netRatios: over(net) };
}

function describe({ load, replicas, events, seconds, cpu, batch, wakes }: Turn): string {
  const stages = SCALED.map(
    (stage) =>
      `${stage} ${short(cpu[stage] ?? 0)} µs an event, ${short(batch[stage] ?? 0)} steps a batch, ${whole(wakes[stage] ?? 0)} wakes per 1,000 events`,
  );
  const others = Object.entries(cpu).filter(([service]) => !SCALED.some((scaled) => scaled === service));
  return (
    `${load}, ${replicas} each: ${whole(events)} events at ${whole(events / seconds)} a second: ${stages.join('; ')}; ` +
    others.map(([service, us]) => `${service} ${short(us)}`).join(', ')
  );
}

export function warmText({ idle, turns, ratios, netRatios }: WarmReplicas): string {
  const middle = (of: readonly Turn[], value: (turn: Turn) => number, digits = 0) =>
    short(median(of.map(value)), digits);
  const each = (value: (service: string) => string) => SCALED.map((s) => `${s} ${value(s)}`).join(', ');
  const lines = [
    `ms of CPU a second when idle: ${[1, REPLICAS].map((n) => `${n} of each: ${each((s) => whole((idle[n]?.[s] ?? 0) / 1000))}`).join('; ')}`,
  ];
  for (const { load } of LOADS) {
    for (const n of [1, REPLICAS]) {
      const of = turnsOf(turns, load, n);
      lines.push(
        `${load}, ${n} of each: ${middle(of, (t) => t.events / t.seconds)} events/s; CPU µs an event: ` +
          `${each((s) => middle(of, (t) => t.cpu[s] ?? 0, 1))}; steps a batch: ${each((s) => middle(of, (t) => t.batch[s] ?? 0))}; ` +
          `steps a commit: ${each((s) => middle(of, (t) => t.commit[s] ?? 0))}; ` +
          `wakes per 1,000 events: ${each((s) => middle(of, (t) => t.wakes[s] ?? 0))}`,
      );
    }
    lines.push(
      `${load}: three cost ${short(median(ratios[load] ?? []), 2)} times as much an event as one ` +
        `(${ratios[load]?.map((r) => short(r, 2)).join(', ')}); ${short(median(netRatios[load] ?? []), 2)} without what they cost idle`,
    );
  }
  return lines.join('\n');
}
