import { setTimeout as sleep } from 'node:timers/promises';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { createTemplate, SIGNED_UP, startJourney } from '#tools/bench/definitions.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { PartitionWatch } from '#tools/cluster/partition-watch.ts';
import { SERVICES, type ServiceName } from '#tools/cluster/roles.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { Quiescence } from '#tools/e2e/quiescence.ts';
import { type Balance, balances, SEGMENT } from '#tools/faults/check.ts';
import { Ledger } from '#tools/faults/ledger.ts';
import { Load } from '#tools/faults/load.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { Fronts } from './fronts.ts';
import { type Calls, Readers } from './readers.ts';

export interface UpgradeOptions {
  /** Builds to go through, one after the other: the cluster begins with the first. `dist` folders; undefined is our own. */
  readonly builds: readonly { readonly name: string; readonly dist: string | undefined }[];
  /** Processes of each service; analytics has one, which is ended before its successor starts. */
  readonly replicas: Partial<Record<ServiceName, number>>;
  /** Events a second. */
  readonly rate: number;
  readonly partitions: number;
  /** analytics goes no way back: an older one refuses tables that newer migrations made. */
  readonly keepAnalytics?: boolean;
  readonly say: (line: string) => void;
}

/** One process made way for another. */
export interface Replaced {
  readonly build: string;
  readonly old: string;
  readonly next: string;
  readonly seconds: number;
  /** The longest any partition of a stage stood meanwhile, ms, and which. */
  readonly pauseMs: number;
  readonly who: string;
  /** Requests of the sender that were told to come again, or got no answer. */
  readonly refusals: number;
  /** Reads that were told to come again, and that failed. */
  readonly again: number;
  readonly failed: number;
}

export interface UpgradeResult {
  readonly replaced: readonly Replaced[];
  readonly balances: readonly Balance[];
  readonly acknowledged: number;
  readonly calls: Readonly<Record<string, Calls>>;
  readonly errors: readonly string[];
  /** Of a partition when nothing is replaced. */
  readonly calmPauseMs: number;
}

/** A Service takes an ending pod out; senders notice within moments. A pod waits 5 s for that (preStop), which is not needed here. */
const UNLISTED_MS = 300;
const CALM_MS = 5_000;
const BETWEEN_MS = 500;

/** Every process of every service is replaced by one of the next build, one by one, while events flow and customers are read. */
export async function rollThrough(options: UpgradeOptions): Promise<UpgradeResult> {
  const { builds, replicas, partitions } = options;
  const fronts = await Fronts.open();
  const distDir = builds[0]?.dist;
  const cluster = await startCluster({
    partitions,
    replicas,
    env: fronts.env,
    logLevel: 'info',
    readyTimeoutMs: 120_000,
    ...(distDir === undefined ? {} : { distDir }),
  }).catch(async (error: unknown) => {
    await fronts.close();
    throw error;
  });
  try {
    fronts.behindAll(cluster);
    return await play(cluster, fronts, options);
  } finally {
    await cluster.stop();
    await fronts.close();
  }
}

async function play(cluster: Cluster, fronts: Fronts, options: UpgradeOptions): Promise<UpgradeResult> {
  const { builds, rate, say } = options;
  const { writeKeys, apiToken, clickhouseHttp, mailboxHttp } = cluster.endpoints;
  const grpc = Object.fromEntries(SERVICES.map((s) => [s, fronts.address(s)])) as Record<ServiceName, string>;
  const api = connectApi({ grpc, apiToken });
  const quiescence = new Quiescence(cluster);
  const ledger = new Ledger();
  const url = fronts.ingestHttp;
  const load = new Load({ url, writeKey: writeKeys.web as string, ledger, random: Math.random, rate, run: 'upgrade' });
  try {
    const rule = Rule.fromPartial({ orders: { count: { atLeast: 1 } } });
    await api.segmentation.createSegment({ segment: Segment.fromPartial({ id: SEGMENT, rule }), requestId: SEGMENT });
    await createTemplate(api, 'signed_up', 'Welcome');
    await startJourney(api, SIGNED_UP);
    await quiescence.defined({ segmentation: 1, journey: 1, messaging: 1 });
    load.start();
    await sleep(CALM_MS);
    const watch = new PartitionWatch(cluster);
    const readers = new Readers(fronts, apiToken, () => load.people);
    const calm = performance.now();
    await sleep(CALM_MS);
    const calmPauseMs = watch.longest(calm).ms;
    say(`nothing replaced: longest pause ${Math.round(calmPauseMs)} ms`);
    const replaced: Replaced[] = [];
    for (const [n, build] of builds.slice(1).entries()) {
      for (const service of SERVICES) {
        if (n > 0 && service === 'analytics' && options.keepAnalytics) continue;
        for (const { name } of cluster.members.filter(({ role }) => role === service)) {
          const one = await replace(name, build, { cluster, fronts, watch, readers, ledger });
          say(lineOf(one));
          replaced.push(one);
        }
      }
    }
    await sleep(CALM_MS);
    await readers.stop();
    await load.stop();
    await watch.stop();
    await quiescence.reached('everything acknowledged to have all its effects');
    const found = await balances(ledger, { api, clickhouseHttp, mailboxHttp });
    const { calls, errors } = readers;
    return { replaced, balances: found, acknowledged: ledger.acknowledged.size, calls, errors, calmPauseMs };
  } finally {
    await quiescence.close();
    closeApi(api);
  }
}

interface Running {
  readonly cluster: Cluster;
  readonly fronts: Fronts;
  readonly watch: PartitionWatch;
  readonly readers: Readers;
  readonly ledger: Ledger;
}

async function replace(
  name: string,
  build: UpgradeOptions['builds'][number],
  { cluster, fronts, watch, readers, ledger }: Running,
): Promise<Replaced> {
  const from = performance.now();
  const [refusals, { again, failed }] = [ledger.refusals, readers.total];
  const old = cluster.members.find((member) => member.name === name);
  const next = await cluster.replace(name, {
    ...(build.dist === undefined ? {} : { distDir: build.dist }),
    beforeEnd: async (successor) => {
      if (successor !== undefined) fronts.add(successor);
      if (old !== undefined) fronts.remove(old);
      await sleep(UNLISTED_MS);
    },
  });
  for (const member of cluster.members) if (member.name === next) fronts.add(member);
  await sleep(BETWEEN_MS);
  const after = readers.total;
  const { ms, who } = watch.longest(from);
  return {
    ...{ build: build.name, old: name, next, pauseMs: ms, who },
    seconds: (performance.now() - from) / 1000,
    refusals: ledger.refusals - refusals,
    again: after.again - again,
    failed: after.failed - failed,
  };
}

export function lineOf({ build, old, next, seconds, pauseMs, who, refusals, again, failed }: Replaced): string {
  return (
    `${build.padEnd(10)} ${old.padEnd(14)} → ${next.padEnd(14)} ${seconds.toFixed(1).padStart(5)} s   ` +
    `longest pause ${String(Math.round(pauseMs)).padStart(5)} ms (${who})   events again ${refusals}, reads again ${again}, failed ${failed}`
  );
}
