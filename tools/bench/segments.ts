import { join } from 'node:path';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { Arrival } from './arrival.ts';
import { type Batch, batchesOf, eventsIn, shopEvents } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import { manySegments } from './many-segments.ts';
import type { BenchOptions } from './options.ts';
import { monotonicUs, profileText, readProfiles, type Window } from './profile.ts';
import { readAll } from './read-all.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { httpSender, sendAll } from './send.ts';

const NUMBERS = [10, 100, 1_000, 10_000];
const SIZES = { from: 100, to: 500 };
const LANES = 8;
/** Segments created at a time. */
const CREATING = 16;
const WARM_UP = 100_000;
const PEOPLE = 300;
/** Events in the warm-up that make somebody a regular: the measured turn is theirs. A newcomer enters and leaves many segments at once. */
const REGULAR = 100;
/** Events of everybody, newcomers too, measured after the regulars' turn. */
const EVERYBODY = 50_000;
const PATIENCE_MS = 600_000;

interface Spent {
  /** Of the process of segmentation, µs per event. */
  readonly cpuUs: number;
  /** Entries, exits and changes of class, per event. */
  readonly changes: number;
}

interface Measured {
  readonly segments: number;
  readonly regulars: Spent;
  readonly everybody: Spent;
}

/** CPU of segmentation per event by the number of segments in force; everything else as in a cluster. */
export async function segments(options: BenchOptions): Promise<BenchResult> {
  const events = options.events ?? 200_000;
  const rounds = options.rounds ?? 2;
  const found: Measured[][] = [];
  // Turn about: what disturbs a round disturbs all numbers of it.
  for (let round = 0; round < rounds; round++) {
    const turn: Measured[] = [];
    for (const n of NUMBERS) turn.push(await measure(profiledApart(options, n), n, events));
    found.push(turn);
  }
  const cpuOf = (n: number) => median(found.map((turn) => (turn[NUMBERS.indexOf(n)] as Measured).regulars.cpuUs));
  const ratios = found.map((turn) => (turn[2] as Measured).regulars.cpuUs / (turn[0] as Measured).regulars.cpuUs);
  const ratio = median(ratios);
  const byNumber = (of: (measured: Measured) => number) =>
    Object.fromEntries((found[0] as Measured[]).map((m) => [m.segments, of(m)]));
  console.log(
    `\n1,000 segments cost segmentation ${short(cpuOf(1_000))} µs CPU per event, 10 cost ${short(cpuOf(10))}: ${short(ratio, 2)} times as much`,
  );
  return {
    bench: 'segments',
    value: cpuOf(1_000),
    unit: 'µs',
    ratio,
    cpuUsPerEvent: cpuOf(1_000),
    detail: {
      cpu_us: Object.fromEntries(NUMBERS.map((n) => [n, cpuOf(n)])),
      changes_per_event: byNumber(({ regulars }) => regulars.changes),
      with_newcomers: {
        cpu_us: byNumber((m) => m.everybody.cpuUs),
        changes_per_event: byNumber((m) => m.everybody.changes),
      },
      ratios,
    },
  };
}

async function measure(options: BenchOptions, n: number, events: number): Promise<Measured> {
  const windows: Window[] = [];
  const { warmUp, regulars, everybody } = turnsOf(events);
  const only = ['nats', 'redis', 'ingest', 'identity', 'profile', 'segmentation'] as const;
  const cluster = await startBenchCluster({ ...options, only });
  try {
    const started = performance.now();
    await create(cluster, n);
    console.log(`${whole(n).padStart(6)} segments created in ${short((performance.now() - started) / 1000)} s`);
    const arrival = await Arrival.open(cluster);
    const turn = async (chunk: readonly Batch[]) => {
      const http = httpSender(cluster.endpoints.ingestHttp, cluster.endpoints.writeKeys, LANES);
      await sendAll(chunk, LANES, http.send);
      await arrival.everywhere(PATIENCE_MS);
      await http.close();
    };
    await arrival.inForce('segmentation', n, PATIENCE_MS);
    await turn(warmUp);
    await arrival.swept('segmentation', PATIENCE_MS);
    const process = processesOf(cluster).filter(({ name }) => name === 'segmentation');
    const spentOn = async (chunk: readonly Batch[]) => {
      const changesBefore = await changes(cluster);
      const [before, fromUs] = [readCpu(process), monotonicUs()];
      await turn(chunk);
      const cpu = cpuBetween(before, readCpu(process)).segmentation ?? 0;
      windows.push({ fromUs, toUs: monotonicUs() });
      const count = eventsIn(chunk);
      return { cpuUs: cpu / count, changes: ((await changes(cluster)) - changesBefore) / count };
    };
    const result = { segments: n, regulars: await spentOn(regulars), everybody: await spentOn(everybody) };
    await arrival.close();
    const of = ({ cpuUs, changes: n }: Spent) => `${short(cpuUs)} µs CPU per event, ${short(n, 2)} changes`;
    console.log(`${whole(n).padStart(6)} segments: ${of(result.regulars)}; with newcomers ${of(result.everybody)}`);
    return result;
  } finally {
    await cluster.stop();
    showProfile(options, windows);
  }
}

/** Each number of segments leaves its profiles in a folder of its own. */
function profiledApart(options: BenchOptions, n: number): BenchOptions {
  return options.cpuProf === undefined ? options : { ...options, cpuProf: join(options.cpuProf, String(n)) };
}

function showProfile({ cpuProf }: BenchOptions, windows: readonly Window[]): void {
  if (cpuProf === undefined || windows.length === 0) return;
  console.log(
    profileText(
      readProfiles(cpuProf, windows.slice(0, 1)).filter(({ name }) => name === 'segmentation'),
      25,
    ),
  );
}

interface Turns {
  readonly warmUp: readonly Batch[];
  readonly regulars: readonly Batch[];
  readonly everybody: readonly Batch[];
}

/** As they follow one another; between the first two and the last, only regulars' events are taken. */
function turnsOf(events: number): Turns {
  const seen = new Map<string, number>();
  const made: [ShopEvent[], ShopEvent[], ShopEvent[]] = [[], [], []];
  const [warmUp, regulars, everybody] = made;
  for (const event of shopEvents(PEOPLE, 4 * (WARM_UP + events + EVERYBODY))) {
    if (warmUp.length < WARM_UP) {
      warmUp.push(event);
      for (const id of idsOf(event)) seen.set(id, (seen.get(id) ?? 0) + 1);
    } else if (regulars.length < events) {
      if (idsOf(event).every((id) => (seen.get(id) ?? 0) >= REGULAR)) regulars.push(event);
    } else if (everybody.length < EVERYBODY) everybody.push(event);
    else break;
  }
  if (everybody.length < EVERYBODY) throw new Error(`the sample shop has too few events for ${events}`);
  const batches = (of: ShopEvent[]) => [...batchesOf(of, SIZES)];
  return { warmUp: batches(warmUp), regulars: batches(regulars), everybody: batches(everybody) };
}

function idsOf({ userId, anonymousId, context }: ShopEvent): string[] {
  const others = ((context?.externalIds ?? []) as { type: string; id: string }[]).map(
    ({ type, id }) => `${type}:${id}`,
  );
  return [userId, anonymousId, ...others].filter((id) => id !== undefined);
}

async function create(cluster: Cluster, n: number): Promise<void> {
  const { grpc, apiToken } = cluster.endpoints;
  const client = createClient(SegmentationServiceClient, grpc.segmentation, { token: apiToken, deadlineMs: 20_000 });
  try {
    const wanted = manySegments(n);
    for (let i = 0; i < wanted.length; i += CREATING) {
      const some = wanted.slice(i, i + CREATING);
      await Promise.all(some.map((segment) => client.createSegment({ segment, requestId: `bench-${segment.id}` })));
    }
  } finally {
    client.close();
  }
}

/** Entries, exits and changes of class in the log so far. */
async function changes({ endpoints }: Cluster): Promise<number> {
  let n = 0;
  await readAll(endpoints.natsUrl, STREAMS.log.name, ['log.*.segment'], ({ data }) => {
    n += decodeFrame(data).records.length;
  });
  return n;
}
