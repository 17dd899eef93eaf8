import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { IngestServiceService, SendEventRequest } from '#gen/recur/ingest/v1/ingest_service.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { type BareProcess, startBare } from './bare/child.ts';
import { makeBareStreams } from './bare/streams.ts';
import { type Batch, batchesOf, shopEvents, toProto } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, type Measured, readCpu } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import { monotonicUs, profileText, readProfiles, type Window } from './profile.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { Caller, grpcSender, httpSender, sendFor } from './send.ts';

/** One way of sending to one server. */
interface Way {
  readonly server: Measured;
  readonly perRequest: number;
  /** Sends for so long; the number of requests answered. */
  run(seconds: number): Promise<{ requests: number; seconds: number }>;
}

interface Mode {
  readonly name: string;
  readonly concurrency: number;
  readonly ours: Way;
  readonly bare: Way | undefined;
}

interface Turn {
  readonly perSecond: number;
  readonly serverUs: number;
  readonly natsUs: number;
  readonly clientUs: number;
}

const BATCH_LANES = 16;
const UNARY_LANES = 64;
const BODY_BYTES = '240';
const { sendEvent } = IngestServiceService;

export async function ingest(options: BenchOptions): Promise<BenchResult> {
  const seconds = options.seconds ?? 2;
  const rounds = options.rounds ?? 3;
  const cluster = await startBenchCluster({ ...options, only: ['nats', 'redis', 'ingest'], without: [] });
  const bares: BareProcess[] = [];
  const closing: (() => unknown)[] = [];
  const windows: Window[] = [];
  const results = new Map<string, { ours: Turn[]; bare: Turn[] }>();
  try {
    if (options.bare) bares.push(...(await startBares(cluster)));
    const modes = modesOf(cluster, bares, closing);
    for (const { ours, bare } of modes) for (const way of [ours, bare]) await way?.run(1); // just-in-time compilation
    for (let round = 0; round < rounds; round++) {
      for (const { name, ours, bare } of modes) {
        const kept = results.get(name) ?? { ours: [], bare: [] };
        results.set(name, kept);
        const fromUs = monotonicUs();
        kept.ours.push(await turn(ours, cluster, seconds));
        windows.push({ fromUs, toUs: monotonicUs() });
        if (bare !== undefined) kept.bare.push(await turn(bare, cluster, seconds));
      }
    }
  } finally {
    for (const close of closing) await close();
    await Promise.all(bares.map((bare) => bare.stop()));
    await cluster.stop();
  }
  if (options.cpuProf !== undefined) console.log(profileText(readProfiles(options.cpuProf, windows)));
  return report(results);
}

async function startBares(cluster: Cluster): Promise<BareProcess[]> {
  const { natsUrl } = cluster.endpoints;
  const connection = await connect({ servers: natsUrl });
  await makeBareStreams(await jetstreamManager(connection));
  await connection.close();
  const file = (name: string) => join(import.meta.dirname, 'bare', name);
  return Promise.all([
    startBare('grpc', file('grpc-server.ts'), { NATS_URL: natsUrl }),
    startBare('http', file('http-server.ts'), { NATS_URL: natsUrl, BODY_BYTES }),
  ]);
}

function modesOf(cluster: Cluster, [grpc, http]: BareProcess[], closing: (() => unknown)[]): Mode[] {
  const { endpoints } = cluster;
  const events = [...shopEvents(5_000, 40_000)];
  const server = { name: 'ingest', pid: cluster.process('ingest').pid };

  const batched = (size: number): Mode => {
    const batches = [...batchesOf(events, { from: size, to: size })].filter(({ count }) => count === size);
    const way = (to: Measured, address: string): Way => {
      const sender = grpcSender(address, endpoints.apiToken);
      closing.push(sender.close);
      return { server: to, perRequest: size, run: (s) => sendFor(batches, BATCH_LANES, s, sender.send) };
    };
    const bare = grpc && way(grpc, `127.0.0.1:${grpc.ready.port}`);
    return { name: `grpc_batch_${size}`, concurrency: BATCH_LANES, ours: way(server, endpoints.grpc.ingest), bare };
  };
  const unary = (): Mode => {
    const requests = events.slice(0, 10_000).map(unaryRequest);
    const way = (to: Measured, address: string): Way => {
      const caller = new Caller(address, endpoints.apiToken);
      closing.push(() => caller.close());
      const call = (bytes: Buffer) => caller.call(sendEvent.path, bytes, sendEvent.responseDeserialize);
      return { server: to, perRequest: 1, run: (s) => sendFor(requests, UNARY_LANES, s, call) };
    };
    const bare = grpc && way(grpc, `127.0.0.1:${grpc.ready.port}`);
    return { name: 'grpc_unary', concurrency: UNARY_LANES, ours: way(server, endpoints.grpc.ingest), bare };
  };
  const httpMode = (size: number): Mode => {
    const batches: Batch[] = [...batchesOf(events, { from: size, to: size })].filter(({ count }) => count === size);
    const way = (to: Measured, url: string): Way => {
      const sender = httpSender(url, endpoints.writeKeys, BATCH_LANES);
      closing.push(sender.close);
      return { server: to, perRequest: size, run: (s) => sendFor(batches, BATCH_LANES, s, sender.send) };
    };
    const bare = http && way(http, `http://127.0.0.1:${http.ready.port}`);
    return { name: `http_batch_${size}`, concurrency: BATCH_LANES, ours: way(server, endpoints.ingestHttp), bare };
  };
  return [batched(100), batched(1_000), unary(), httpMode(100)];
}

const unaryRequest = (event: ShopEvent): Buffer =>
  Buffer.from(SendEventRequest.encode({ event: toProto(event), sentAtMs: 0 }).finish());

async function turn(way: Way, cluster: Cluster, seconds: number): Promise<Turn> {
  const measured = [way.server, ...processesOf(cluster).filter(({ name }) => name === 'nats')];
  const before = readCpu(measured);
  const clientBefore = process.cpuUsage();
  const { requests, seconds: took } = await way.run(seconds);
  const client = process.cpuUsage(clientBefore);
  const used = cpuBetween(before, readCpu(measured));
  const events = requests * way.perRequest;
  return {
    perSecond: events / took,
    serverUs: (used[way.server.name] ?? Number.NaN) / events,
    natsUs: (used.nats ?? Number.NaN) / events,
    clientUs: (client.user + client.system) / events,
  };
}

function report(results: ReadonlyMap<string, { ours: Turn[]; bare: Turn[] }>): BenchResult {
  console.log(
    'Events/s and CPU µs per event; medians. Bare gRPC: a grpc-js server that decodes the request, publishes every event of\n' +
      'it as a JetStream message, all at once, and answers when they are stored. Bare HTTP: node:http, JSON.parse, one frame a request.',
  );
  const detail: Record<string, unknown> = {};
  for (const [name, { ours, bare }] of results) {
    const middle = (turns: Turn[], key: keyof Turn) => median(turns.map((t) => t[key]));
    // Turns that follow each other met the same noise of the machine.
    const ratio =
      bare.length === 0 ? null : median(ours.map((t, i) => t.perSecond / (bare[i]?.perSecond ?? Number.NaN)));
    const summary = (turns: Turn[]) => ({
      per_second: middle(turns, 'perSecond'),
      server_us: middle(turns, 'serverUs'),
      nats_us: middle(turns, 'natsUs'),
      client_us: middle(turns, 'clientUs'),
    });
    detail[name] = { ours: summary(ours), bare: bare.length === 0 ? null : summary(bare), ratio };
    for (const [who, turns] of [
      ['ours', ours],
      ['bare', bare],
    ] as const) {
      if (turns.length === 0) continue;
      const s = summary(turns);
      console.log(
        `${name.padEnd(16)} ${who}  ${whole(s.per_second).padStart(8)} events/s   server ${short(s.server_us, 2).padStart(6)}` +
          `   nats ${short(s.nats_us, 2).padStart(6)}   client ${short(s.client_us, 2).padStart(6)} µs` +
          (who === 'ours' && ratio !== null ? `   ratio ${short(ratio, 2)}` : ''),
      );
    }
  }
  const main = detail.grpc_batch_100 as { ours: { per_second: number; server_us: number }; ratio: number | null };
  const { ours, ratio } = main;
  return { bench: 'ingest', value: ours.per_second, unit: 'events/s', ratio, cpuUsPerEvent: ours.server_us, detail };
}
