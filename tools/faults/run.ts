import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { createTemplate, SIGNED_UP, startJourney } from '#tools/bench/definitions.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { Quiescence } from '#tools/e2e/quiescence.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { Away } from './away.ts';
import { type Balance, balances, SEGMENT } from './check.ts';
import { inflict, type World } from './harm.ts';
import { LagWatch } from './lag.ts';
import { Ledger } from './ledger.ts';
import { Load } from './load.ts';
import { type FaultName, type Plan, VOTED } from './plan.ts';
import { FaultServers } from './servers.ts';
import { Way } from './way.ts';

export interface RunOptions {
  readonly plan: Plan;
  /** Events a second. */
  readonly rate: number;
  readonly scale: number;
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

export interface FaultResult {
  readonly fault: FaultName;
  readonly detail: string;
  /** From the end of the fault until nobody is a second behind any more; null when that did not happen in time. */
  readonly recoverySeconds: number | null;
  /**
   * Of these, until what was harmed answered by itself: a killed process was ready, NATS had voted, a store had read its files.
   * Null when it never did.
   */
  readonly awaySeconds: number | null;
  /** The most anybody was behind; null when somebody did not answer at all. */
  readonly worstLagSeconds: number | null;
  /** Who was behind longest. */
  readonly last: string;
  readonly skipped?: string;
}

export interface RunResult {
  readonly seed: number;
  readonly faults: readonly FaultResult[];
  readonly balances: readonly Balance[];
  readonly acknowledged: number;
  readonly refusals: number;
  readonly deadLetters: { readonly expected: number; readonly found: number };
  readonly seconds: number;
}

export const LAG_LIMIT = 1;
const PATIENCE_MS = 90_000;
/** Between two faults, so that one is not another's. */
const PAUSE_MS = 2_000;
const FIRST_MS = 60_000;

/** One seed: a cluster of its own, load, every fault of the plan, and the reckoning. */
export async function runPlan(options: RunOptions): Promise<RunResult> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-faults-'));
  if (!options.keep) deleteWithUs(dir);
  const servers = await FaultServers.start(dir);
  const ways: Way[] = [];
  let cluster: Cluster | undefined;
  try {
    const started = await startServices(dir, servers, options.plan, ways);
    cluster = started.cluster;
    return await play({ ...started, servers }, options);
  } finally {
    // A way that is cut would make the service behind it wait for its time-out.
    for (const way of ways) way.weather = {};
    await cluster?.stop();
    await Promise.all(ways.map((way) => way.close()));
    await servers.stop();
    if (options.keep) options.say(`kept: ${dir}`);
    else rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

type Parts = Pick<World, 'cluster' | 'servers' | 'ways' | 'toClickHouse' | 'clockDir'>;

async function startServices(
  dir: string,
  servers: FaultServers,
  plan: Plan,
  opened: Way[],
): Promise<Omit<Parts, 'servers'>> {
  const open = async (port: number) => {
    const way = await Way.open(port, plan.random);
    opened.push(way);
    return way;
  };
  const portOf = (url: string) => Number(new URL(url).port);
  const natsWays: Way[] = [];
  for (const { url } of servers.nats) natsWays.push(await open(portOf(url)));
  const redisWay = await open(portOf(servers.redisUrl));
  const toClickHouse = await open(servers.clickhousePort);
  const clockDir = join(dir, 'clock');
  mkdirSync(clockDir);
  const cluster = await startCluster({
    dir: join(dir, 'cluster'),
    without: ['nats', 'redis'],
    ports: 'private',
    supervise: true,
    logLevel: 'info',
    replicas: { profile: 2 },
    env: {
      NATS_URL: servers.natsUrls,
      REDIS_URL: servers.redisUrl,
      STREAM_REPLICAS: '3',
      FAULTS_CLOCK_DIR: clockDir,
      NODE_OPTIONS: `--import ${fileURLToPath(new URL('./clock-shift.mjs', import.meta.url))}`,
    },
    serviceEnv: {
      [plan.cut]: {
        NATS_URL: natsWays.map(({ port }) => `nats://127.0.0.1:${port}`).join(','),
        REDIS_URL: `redis://127.0.0.1:${redisWay.port}`,
      },
      analytics: { CLICKHOUSE_URL: `http://127.0.0.1:${toClickHouse.port}` },
    },
  });
  return { cluster, ways: [...natsWays, redisWay], toClickHouse, clockDir };
}

async function play(parts: Parts, options: RunOptions): Promise<RunResult> {
  const { cluster, servers } = parts;
  const { plan, rate, say } = options;
  const started = performance.now();
  const stores = { natsUrls: servers.natsUrls, redisUrl: servers.redisUrl };
  const api = connectApi(cluster.endpoints);
  const quiescence = new Quiescence(cluster, stores);
  const ledger = new Ledger();
  const { ingestHttp: url, writeKeys, clickhouseHttp, mailboxHttp } = cluster.endpoints;
  const load = new Load({
    url,
    writeKey: writeKeys.web as string,
    ledger,
    random: plan.random,
    rate,
    run: `s${plan.seed}`,
  });
  const rule = Rule.fromPartial({ orders: { count: { atLeast: 1 } } });
  await api.segmentation.createSegment({ segment: Segment.fromPartial({ id: SEGMENT, rule }), requestId: SEGMENT });
  await createTemplate(api, 'signed_up', 'Welcome');
  await startJourney(api, SIGNED_UP);
  await quiescence.defined({ segmentation: 1, journey: 1, messaging: 1 });

  const lag = new LagWatch(cluster, stores);
  const world: World = { ...parts, load, plan, rate, scale: options.scale };
  const away = new Away(world, servers.redisUrl);
  const faults: FaultResult[] = [];
  let expectedLetters = 0;
  try {
    const from = performance.now();
    load.start();
    if ((await lag.recovered(from, LAG_LIMIT, FIRST_MS)) === undefined) {
      throw new Error(`Before any fault the lag is not below ${LAG_LIMIT} s: ${lag.now?.who}`);
    }
    await sleep(PAUSE_MS);
    for (const fault of plan.order) {
      const { result, letters } = await one(fault, world, lag, away);
      expectedLetters += letters;
      faults.push(result);
      say(lineOf(result));
      await sleep(PAUSE_MS);
    }
    await load.stop();
    await quiescence.reached('everything acknowledged to have all its effects');
    const found = await deadLetters(servers);
    return {
      seed: plan.seed,
      faults,
      balances: await balances(ledger, { api, clickhouseHttp, mailboxHttp }),
      acknowledged: ledger.acknowledged.size,
      refusals: ledger.refusals,
      deadLetters: { expected: expectedLetters, found },
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await lag.stop();
    await away.stop();
    if (options.keep)
      writeFileSync(join(cluster.dir, '../lag.jsonl'), lag.samples.map((s) => `${JSON.stringify(s)}\n`).join(''));
    await quiescence.close();
    closeApi(api);
  }
}

async function one(
  fault: FaultName,
  world: World,
  lag: LagWatch,
  away: Away,
): Promise<{ result: FaultResult; letters: number }> {
  const from = performance.now();
  const { detail, skipped, deadLetters: letters = 0, over = performance.now() } = await inflict(fault, world);
  if (skipped !== undefined) {
    const nothing = { recoverySeconds: null, awaySeconds: null, worstLagSeconds: null, last: '' };
    return { result: { fault, detail, skipped, ...nothing }, letters };
  }
  const [awaySeconds, recovery] = await Promise.all([
    away.seconds(fault, over, PATIENCE_MS),
    lag.recovered(over, LAG_LIMIT, PATIENCE_MS),
  ]);
  const worst = lag.worst(from);
  return {
    result: {
      fault,
      detail,
      recoverySeconds: recovery?.seconds ?? null,
      awaySeconds,
      worstLagSeconds: Number.isFinite(worst) ? worst : null,
      last: recovery?.last ?? lag.now?.who ?? '',
    },
    letters,
  };
}

/** A fault as a line of the table. */
export function lineOf(result: FaultResult): string {
  const { fault, detail, recoverySeconds, awaySeconds, worstLagSeconds, last, skipped } = result;
  const figure = (value: number | null, otherwise: string) =>
    (value === null ? otherwise : `${value.toFixed(1)} s`).padStart(8);
  if (skipped !== undefined) return `${fault.padEnd(22)} ${'skipped'.padStart(26)}  ${skipped}`;
  const who = last === '' ? '' : `; last: ${last}`;
  const figures = [figure(recoverySeconds, 'never'), figure(awaySeconds, 'always'), figure(worstLagSeconds, 'away')];
  return `${fault.padEnd(22)} ${figures.join(' ')}  ${detail}${who}`;
}

export const HEADING = `${'fault'.padEnd(22)} ${['recovery', 'away', 'max lag'].map((h) => h.padStart(8)).join(' ')}`;

/** Seconds that count against the limit: nobody can acknowledge anything before NATS has voted. */
export function countedSeconds({ fault, recoverySeconds, awaySeconds }: FaultResult): number {
  if (recoverySeconds === null) return Number.POSITIVE_INFINITY;
  return recoverySeconds - (VOTED.has(fault) ? (awaySeconds ?? 0) : 0);
}

async function deadLetters(servers: FaultServers): Promise<number> {
  const nats = await connect({ servers: servers.natsUrls.split(','), timeout: 5_000 });
  try {
    const { state } = await (await jetstreamManager(nats)).streams.info(STREAMS.deadLetters.name);
    return state.messages;
  } finally {
    await nats.close();
  }
}
