import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { Arrival } from './arrival.ts';
import { type Batch, batchesOf, eventsIn, shopEvents } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, readCpu } from './cpu.ts';
import { manySegments } from './many-segments.ts';
import type { BenchOptions } from './options.ts';
import { readAll } from './read-all.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { httpSender, sendAll } from './send.ts';

const NUMBERS = [10, 100, 1_000, 10_000];
const SIZES = { from: 100, to: 500 };
const LANES = 8;
/** Segments created at a time. */
const CREATING = 16;
const WARM_UP = 100_000;
/** So few that all have been with the shop for long: a newcomer enters many segments at once, however few there are to ask later. */
const PEOPLE = 300;
const PATIENCE_MS = 600_000;

interface Measured {
  readonly segments: number;
  /** Of the process of segmentation, µs. */
  readonly cpuUsPerEvent: number;
  readonly changesPerEvent: number;
}

/** CPU of segmentation per event by the number of segments in force; everything else as in a cluster. */
export async function segments(options: BenchOptions): Promise<BenchResult> {
  const events = options.events ?? 200_000;
  const rounds = options.rounds ?? 2;
  const found: Measured[][] = [];
  // Turn about: what disturbs a round disturbs all numbers of it.
  for (let round = 0; round < rounds; round++) {
    const turn: Measured[] = [];
    for (const n of NUMBERS) turn.push(await measure(options, n, events));
    found.push(turn);
  }
  const cpuOf = (n: number) => median(found.map((turn) => (turn[NUMBERS.indexOf(n)] as Measured).cpuUsPerEvent));
  const ratios = found.map((turn) => (turn[2] as Measured).cpuUsPerEvent / (turn[0] as Measured).cpuUsPerEvent);
  const ratio = median(ratios);
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
      changes_per_event: Object.fromEntries((found[0] as Measured[]).map((m) => [m.segments, m.changesPerEvent])),
      ratios,
    },
  };
}

async function measure(options: BenchOptions, n: number, events: number): Promise<Measured> {
  const [warmUp, measured] = chunks(events);
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
    await turn(warmUp);
    await arrival.swept('segmentation', PATIENCE_MS);
    const process = processesOf(cluster).filter(({ name }) => name === 'segmentation');
    const [before, changesBefore] = [readCpu(process), await changes(cluster)];
    await turn(measured);
    const cpu = cpuBetween(before, readCpu(process)).segmentation ?? 0;
    const count = eventsIn(measured);
    const result = {
      segments: n,
      cpuUsPerEvent: cpu / count,
      changesPerEvent: ((await changes(cluster)) - changesBefore) / count,
    };
    await arrival.close();
    console.log(
      `${whole(n).padStart(6)} segments: ${short(result.cpuUsPerEvent)} µs CPU per event, ${short(result.changesPerEvent, 2)} changes`,
    );
    return result;
  } finally {
    await cluster.stop();
  }
}

function chunks(events: number): [Batch[], Batch[]] {
  const made: [Batch[], Batch[]] = [[], []];
  let n = 0;
  for (const batch of batchesOf(shopEvents(PEOPLE, WARM_UP + events), SIZES)) {
    made[n < WARM_UP ? 0 : 1].push(batch);
    n += batch.count;
  }
  return made;
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
