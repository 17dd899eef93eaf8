import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { sql } from '#tools/library/sql.ts';
import { Arrival, type Moments } from './arrival.ts';
import { type BareLoop, startBareLoop } from './bare/loop.ts';
import { sendMails } from './bare/mails.ts';
import { type Batch, batchesOf, eventsIn, shopEvents } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, type Measured, perEvent, readCpu, total } from './cpu.ts';
import {
  BIG_SPENDER,
  benchSegments,
  CART_REMINDER,
  createSegments,
  createTemplate,
  startJourney,
} from './definitions.ts';
import { type Insight, insightInto, insightText } from './insight.ts';
import type { BenchOptions } from './options.ts';
import { monotonicUs, profileText, readProfiles, type Window } from './profile.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { grpcSender, httpSender, type Sender, sendAll } from './send.ts';

const SIZES = { from: 100, to: 500 };
const LANES = 8;
const WARM_UP = 150_000;
const PATIENCE_MS = 600_000;

export interface Turn {
  readonly events: number;
  readonly seconds: number;
  /** Seconds until the last request was accepted. */
  readonly sendingSeconds: number;
  /** Seconds until each stage had everything. */
  readonly stages: Moments;
  /** CPU by process, µs. */
  readonly cpu: Record<string, number>;
  /** Of the thread JavaScript runs on. */
  readonly firstThread: Record<string, number>;
  readonly refused: number;
  /** Handed over to the mailbox. */
  readonly mails: number;
}

export async function e2e(options: BenchOptions): Promise<BenchResult> {
  const rounds = options.rounds ?? 2;
  const events = options.events ?? 300_000;
  const chunks = makeChunks(options.people, events, rounds, WARM_UP);
  const cluster = await startBenchCluster(options);
  const ours: Turn[] = [];
  const bare: Turn[] = [];
  const windows: Window[] = [];
  const sent = eventsIn(chunks.flat());
  let loop: BareLoop | undefined;
  let insight: Insight | undefined;
  let bytes = 0;
  try {
    const { segments, journeys } = await define(cluster);
    console.log(`${segments} segments and ${journeys} journeys are active; ${cluster.settings.partitions} partitions`);
    const arrival = await Arrival.open(cluster);
    const oursTurn = (chunk: readonly Batch[]) => turnOfOurs(cluster, arrival, chunk);
    console.log(describe('warm-up', await oursTurn(chunks[0] as Batch[])));
    const { state } = await arrival.jsm.streams.info(STREAMS.ingest.name);
    bytes = state.bytes / eventsIn(chunks[0] as Batch[]);
    if (options.bare) {
      const sink = !options.without.includes('analytics');
      loop = await startBareLoop(cluster, arrival.jsm, { bodyBytes: Math.round(bytes), sink });
      await turnOfBare(cluster, loop, chunks[0] as Batch[], 100);
    }
    for (const chunk of chunks.slice(1)) {
      const fromUs = monotonicUs();
      ours.push(await oursTurn(chunk));
      windows.push({ fromUs, toUs: monotonicUs() });
      console.log(describe('ours', ours.at(-1) as Turn));
      if (loop === undefined) continue;
      const mails = (ours.at(-1) as Turn).mails;
      bare.push(await turnOfBare(cluster, loop, chunk, mails));
      console.log(describe('bare', bare.at(-1) as Turn));
    }
    await checkCounts(cluster, options, sent);
    insight = await insightInto(cluster, arrival.jsm);
    console.log(insightText(insight, sent));
    await arrival.close();
  } finally {
    await loop?.stop();
    await cluster.stop();
  }
  showProfile(options, windows, ours);
  return report(ours, bare, { ingest_bytes_per_event: bytes, sent, ...insight });
}

/** Encoded before anything runs: the warm-up first, then one part for each round. */
export function makeChunks(people: number, events: number, rounds: number, warmUp: number): Batch[][] {
  const started = performance.now();
  const chunks: Batch[][] = Array.from({ length: rounds + 1 }, () => []);
  let made = 0;
  for (const batch of batchesOf(shopEvents(people, warmUp + events), SIZES)) {
    const chunk = made < warmUp ? 0 : 1 + Math.min(rounds - 1, Math.floor(((made - warmUp) * rounds) / events));
    chunks[chunk]?.push(batch);
    made += batch.count;
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${whole(made)} events of ${whole(people)} people made in ${short(seconds)} s`);
  return chunks;
}

export async function define(cluster: Cluster): Promise<{ segments: number; journeys: number }> {
  const api = connectApi(cluster.endpoints);
  try {
    const library = await loadLibrary(api);
    const segments = benchSegments();
    await createSegments(api, segments);
    await createTemplate(api, 'cart_reminder', 'You left something behind');
    await createTemplate(api, 'big_spender', 'Thank you for being with us');
    await startJourney(api, CART_REMINDER);
    await startJourney(api, BIG_SPENDER);
    return { segments: library.segments.length + segments.length, journeys: library.journeys.length + 2 };
  } finally {
    closeApi(api);
  }
}

/** Half of the requests by HTTP, half by gRPC. */
export async function turnOfOurs(cluster: Cluster, arrival: Arrival, chunk: readonly Batch[]): Promise<Turn> {
  const { endpoints } = cluster;
  const http = httpSender(endpoints.ingestHttp, endpoints.writeKeys, LANES);
  const grpc = grpcSender(endpoints.grpc.ingest, endpoints.apiToken);
  let next = 0;
  const send = (batch: Batch) => (next++ % 2 === 0 ? http : grpc).send(batch);
  try {
    const before = await mailsIn(cluster);
    const measured = await turn(processesOf(cluster), [http, grpc], chunk, send, () => arrival.everywhere(PATIENCE_MS));
    return { ...measured, mails: (await mailsIn(cluster)) - before };
  } finally {
    await Promise.all([http.close(), grpc.close()]);
  }
}

/** With as many mails as ours sent for the same events. */
async function turnOfBare(cluster: Cluster, loop: BareLoop, chunk: readonly Batch[], mails: number): Promise<Turn> {
  const http = httpSender(loop.url, cluster.endpoints.writeKeys, LANES);
  const servers = processesOf(cluster).filter(({ name }) => ['nats', 'redis', 'mailbox'].includes(name));
  const sent = sendMails(cluster.endpoints.smtpUrl, mails);
  const arrived = async () => {
    await Promise.all([loop.arrived(PATIENCE_MS), sent]);
    return {};
  };
  try {
    return { ...(await turn([...servers, ...loop.processes], [http], chunk, http.send, arrived)), mails };
  } finally {
    await http.close();
  }
}

async function turn(
  processes: readonly Measured[],
  senders: readonly Sender[],
  chunk: readonly Batch[],
  send: Sender['send'],
  arrived: () => Promise<Moments>,
): Promise<Omit<Turn, 'mails'>> {
  const before = readCpu(processes);
  const firstBefore = readCpu(processes, 'first');
  const generator = process.cpuUsage();
  const started = performance.now();
  const since = (moment: number) => (moment - started) / 1000;
  await sendAll(chunk, LANES, send);
  const { user, system } = process.cpuUsage(generator);
  const sendingSeconds = since(performance.now());
  const moments = await arrived();
  const seconds = since(performance.now());
  return {
    events: eventsIn(chunk),
    seconds,
    sendingSeconds,
    stages: Object.fromEntries(Object.entries(moments).map(([stage, at]) => [stage, since(at)])),
    cpu: { generator: user + system, ...cpuBetween(before, readCpu(processes)) },
    firstThread: cpuBetween(firstBefore, readCpu(processes, 'first')),
    refused: senders.reduce((sum, { refused }) => sum + refused(), 0),
  };
}

async function mailsIn(cluster: Cluster): Promise<number> {
  const answer = await fetch(`${cluster.endpoints.mailboxHttp}/api/v1/count`);
  return ((await answer.json()) as { count: number }).count;
}

/** A figure for events that did not all arrive would be worth nothing. */
export async function checkCounts(cluster: Cluster, { without }: BenchOptions, sent: number): Promise<void> {
  if (without.includes('analytics')) return;
  const [row] = await sql<{ n: number }>(cluster.endpoints.clickhouseHttp, 'SELECT count() AS n FROM events');
  if (row?.n !== sent) throw new Error(`${sent} events were accepted, ClickHouse has ${row?.n}`);
}

export function describe(who: string, { events, seconds, sendingSeconds, stages, cpu, refused }: Turn): string {
  const at = Object.entries(stages).map(([stage, s]) => `${stage} ${short(s)}`);
  const used = Object.entries(perEvent(cpu, events))
    .sort(([, a], [, b]) => b - a)
    .map(([name, us]) => `${name} ${short(us)}`);
  return (
    `${who.padEnd(7)} ${whole(events / seconds).padStart(8)} events/s  (${whole(events)} in ${short(seconds)} s; accepted after ` +
    `${short(sendingSeconds)} s${at.length > 0 ? `; had everything: ${at.join(', ')}` : ''}; ${refused} refused)\n` +
    `        ${short(total(cpu) / events)} µs CPU per event: ${used.join(', ')}`
  );
}

function showProfile({ cpuProf }: BenchOptions, windows: readonly Window[], turns: readonly Turn[]): void {
  if (cpuProf === undefined) return;
  const text = profileText(readProfiles(cpuProf, windows), 25, cpuByProcess(turns, 'firstThread'));
  writeFileSync(join(cpuProf, 'summary.txt'), text);
  console.log(text);
}

/** µs per event. */
function cpuByProcess(turns: readonly Turn[], which: 'cpu' | 'firstThread' = 'cpu'): Record<string, number> {
  const perEventOf = (name: string) => median(turns.map((turn) => (turn[which][name] ?? 0) / turn.events));
  return Object.fromEntries(Object.keys(turns[0]?.cpu ?? {}).map((name) => [name, perEventOf(name)]));
}

function report(ours: readonly Turn[], bare: readonly Turn[], more: Record<string, unknown>): BenchResult {
  const rate = ({ events, seconds }: Turn) => events / seconds;
  const cpuUs = ({ cpu, events }: Turn) => total(cpu) / events;
  const value = median(ours.map(rate));
  const compared = bare.length > 0;
  const ratio = compared ? median(ours.map((turn, i) => rate(turn) / rate(bare[i] as Turn))) : null;
  const cpuRatio = compared ? median(ours.map((turn, i) => cpuUs(turn) / cpuUs(bare[i] as Turn))) : null;
  console.log(
    `\n${whole(value)} events/s to every store, ${short(median(ours.map(cpuUs)))} µs CPU per event over all processes\n` +
      (ratio === null || cpuRatio === null
        ? ''
        : `bare loop: ${whole(median(bare.map(rate)))} events/s, ${short(median(bare.map(cpuUs)))} µs; ratio ${short(ratio, 3)} of its events/s, ` +
          `${short(cpuRatio)} times its CPU\n` +
          'The bare loop, on the same NATS and Redis, same requests (all by HTTP): one process takes them, JSON.parses, publishes one\n' +
          'frame a request; a second reads these and publishes them again by partition; a third reads the log four times, as the keyed\n' +
          'stages do, and writes per frame one 300-byte value for each customer in it for three of them; a fourth inserts the rows\n' +
          'that so many events cause, ready-made, into an embedded ClickHouse; and as many mails are handed over as ours sent.\n' +
          'It resolves no identities, reads no states, decides nothing, and would lose what a crash interrupts.'),
  );
  return {
    bench: 'e2e',
    value,
    unit: 'events/s',
    ratio,
    cpuUsPerEvent: median(ours.map(cpuUs)),
    detail: {
      cpu_us: cpuByProcess(ours),
      cpu_us_first_thread: cpuByProcess(ours, 'firstThread'),
      stages_s: ours.map(({ stages }) => stages),
      sending_s: ours.map(({ sendingSeconds }) => sendingSeconds),
      refused: ours.reduce((sum, { refused }) => sum + refused, 0),
      bare: compared
        ? { per_second: median(bare.map(rate)), cpu_us_per_event: median(bare.map(cpuUs)), cpu_us: cpuByProcess(bare) }
        : null,
      cpu_ratio: cpuRatio,
      ...more,
    },
  };
}
