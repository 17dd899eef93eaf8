import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AnalyticsServiceClient, type ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import { ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import { ExperimentServiceClient } from '#gen/recur/analytics/v1/experiment_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { Arrival } from '#tools/bench/arrival.ts';
import { batchesOf } from '#tools/bench/batches.ts';
import { httpSender, sendAll } from '#tools/bench/send.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { sql } from '#tools/library/sql.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { dataSet } from './data-set.ts';

/**
 * An experiment somebody else made, told to the public API as history: who was in which arm, what they had bought before, what
 * they did after. Its published figures come out of SQL and of gRPC.
 */
const ID = 'hillstrom';
const ARMS = ['No E-Mail', 'Mens E-Mail', 'Womens E-Mail'] as const;
const BEFORE = '2026-01-05T00:00:00Z';
const EXPOSED = '2026-01-10T00:00:00Z';
const AFTER = '2026-01-12T00:00:00Z';
const OVER = '2026-02-01T00:00:00Z';
let cluster: Cluster;
let dir = '';

interface Row {
  readonly history: string;
  readonly segment: string;
  readonly visit: string;
  readonly spend: string;
}

const order = (orderId: string, total: number) => ({
  event: 'Order Completed',
  properties: { order_id: orderId, total, currency: 'CNY' },
});

function* told({ history, segment, visit, spend }: Row, i: number): Generator<ShopEvent> {
  const said = (what: string, timestamp: string, rest: Partial<ShopEvent>): ShopEvent => ({
    channel: 'web',
    type: 'track',
    messageId: `${what}-${i}`,
    userId: `customer-${i}`,
    timestamp,
    ...rest,
  });
  yield said('before', BEFORE, order(`before-${i}`, Number(history)));
  const arm = { experiment_id: ID, variation_id: segment, hold_out: segment === ARMS[0] };
  yield said('arm', EXPOSED, { event: 'Experiment Viewed', properties: arm });
  if (visit === '1') yield said('visit', AFTER, { type: 'page', name: 'Home' });
  if (Number(spend) > 0) yield said('after', AFTER, order(`after-${i}`, Number(spend)));
}

/** Arms of the published check vector: so many customers, of whom some spent so much. Sum and sum of squares are as published. */
const VECTOR = [
  { arm: 'A', customers: 3_407, many: 38, spent: 34.558999, last: 83.628038 },
  { arm: 'B', customers: 3_461, many: 44, spent: 52.370026, last: 118.418856 },
] as const;

function* vector(): Generator<ShopEvent> {
  for (const { arm, customers, many, spent, last } of VECTOR) {
    for (let i = 0; i < customers; i++) {
      const who = { channel: 'web' as const, type: 'track' as const, userId: `vector-${arm}-${i}` };
      const properties = { experiment_id: 'vector', variation_id: arm };
      yield { ...who, messageId: `${who.userId}-arm`, timestamp: EXPOSED, event: 'Experiment Viewed', properties };
      if (i > many) continue;
      const bought = order(`${who.userId}-order`, i < many ? spent : last);
      yield { ...who, messageId: `${who.userId}-after`, timestamp: AFTER, ...bought };
    }
  }
}

async function history(): Promise<ShopEvent[]> {
  const rows = createReadStream(dataSet('hillstrom/hillstrom.csv.gz'))
    .pipe(createGunzip())
    .pipe(parse({ columns: true }));
  const events: ShopEvent[] = [];
  let i = 0;
  for await (const row of rows) events.push(...told(row as Row, i++));
  events.push(...vector());
  // Somebody who is in no arm buys much later: the two weeks are over.
  events.push({
    channel: 'web',
    type: 'track',
    messageId: 'over',
    userId: 'somebody-else',
    timestamp: OVER,
    ...order('over', 1),
  });
  return events;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recur-e2e-'));
  deleteWithUs(dir);
  const only = ['nats', 'redis', 'ingest', 'identity', 'analytics'] as const;
  cluster = await startCluster({ ports: 'private', logLevel: 'warn', clock: 'live', only, dir });
  const { ingestHttp, writeKeys, grpc, apiToken } = cluster.endpoints;
  const experiments = createClient(ExperimentServiceClient, grpc.analytics, { token: apiToken });
  const arms = ARMS.map((variant) => ({ variant, weight: 1 }));
  const plan = ExperimentPlan.fromPartial({ id: ID, displayName: 'E-mail of spring', control: ARMS[0], arms });
  await experiments.createExperimentPlan({ plan, requestId: 'plan' });
  const other = ExperimentPlan.fromPartial({ id: 'vector', control: 'A' });
  await experiments.createExperimentPlan({ plan: other, requestId: 'vector' });
  experiments.close();
  const sender = httpSender(ingestHttp, writeKeys as Record<string, string>, 4);
  await sendAll([...batchesOf(await history(), { from: 400, to: 500 })], 4, sender.send);
  await sender.close();
  const arrival = await Arrival.open(cluster);
  await arrival.everywhere(120_000);
  await arrival.close();
}, 240_000);
afterAll(async () => {
  await cluster?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Published: visit, conversion, spend by arm; then the effects on spend. */
const MEANS = {
  'No E-Mail': { n: 21_306, visit: 0.106167, conversion: 0.005726, revenue: 0.652789 },
  'Mens E-Mail': { n: 21_307, visit: 0.182757, conversion: 0.012531, revenue: 1.422617 },
  'Womens E-Mail': { n: 21_387, visit: 0.1514, conversion: 0.008837, revenue: 1.077202 },
};
type Figures = Readonly<Record<string, [wanted: number, tolerance: number]>>;
const MEN: Figures = {
  effect: [0.769827, 1e-5],
  effectSe: [0.145247, 1e-5],
  effectLow: [0.48514, 1e-5],
  effectHigh: [1.054515, 1e-5],
  p: [1.164e-7, 1e-10],
  relative: [1.17929, 1e-5],
  relativeLow: [0.54428, 1e-5],
  relativeHigh: [1.81429, 1e-5],
  sequentialLow: [0.13593, 1e-5],
  sequentialHigh: [2.22265, 1e-5],
  sequentialP: [0.01211, 1e-5],
  srmP: [0.90369, 1e-5],
  cupedEffect: [0.767438, 1e-5],
  cupedSe: [0.145215, 1e-5],
  total: [30_311.69, 0.005],
  incremental: [16_402.71, 0.005],
};
const WOMEN: Figures = {
  effect: [0.424412, 1e-5],
  p: [0.001129, 1e-6],
  relative: [0.65015, 1e-5],
  relativeP: [0.01098, 1e-5],
  sequentialP: [0.3424, 5e-5],
};

function compare(find: (variant: string, metric: string) => Readonly<Record<string, unknown>>): void {
  const near = (what: string, value: unknown, [wanted, tolerance]: readonly [number, number]) =>
    expect(Math.abs(Number(value) - wanted), `${what}: ${value} is not ${wanted}`).toBeLessThanOrEqual(tolerance);
  for (const [variant, { n, ...means }] of Object.entries(MEANS)) {
    for (const [metric, mean] of Object.entries(means)) {
      const row = find(variant, metric);
      expect(Number(row.customers), `${variant} ${metric}`).toBe(n);
      near(`${variant} ${metric}`, row.mean, [mean, 1e-6]);
    }
  }
  for (const [variant, figures] of [
    ['Mens E-Mail', MEN],
    ['Womens E-Mail', WOMEN],
  ] as const) {
    const row = find(variant, 'revenue');
    for (const [name, wanted] of Object.entries(figures)) near(`${variant} ${name}`, row[name], wanted);
  }
}

test('the published figures, by gRPC', async () => {
  const { grpc, apiToken } = cluster.endpoints;
  const analytics = createClient(AnalyticsServiceClient, grpc.analytics, { token: apiToken, deadlineMs: 30_000 });
  const { results } = await analytics.listExperimentResults({ experimentId: ID, days: 14, by: '' });
  analytics.close();
  compare((variant, metric) => {
    const found = results.find((r) => r.variant === variant && r.metric === metric);
    expect(found, `${variant} ${metric}`).toBeDefined();
    return { ...(found as ExperimentResult) };
  });
  expect(results.find((r) => r.variant === 'Mens E-Mail' && r.metric === 'revenue')?.windowOver).toBe(true);
});

test('the check vector of the formulas, by gRPC', async () => {
  const { grpc, apiToken } = cluster.endpoints;
  const analytics = createClient(AnalyticsServiceClient, grpc.analytics, { token: apiToken, deadlineMs: 30_000 });
  const { results } = await analytics.listExperimentResults({ experimentId: 'vector', days: 14, by: '' });
  analytics.close();
  const found = results.find(({ variant, metric }) => variant === 'B' && metric === 'revenue');
  expect(found?.relative).toBeCloseTo(0.70732, 5);
  expect(found?.relativeLow).toBeCloseTo(-0.03526, 5);
  expect(found?.relativeHigh).toBeCloseTo(1.44989, 5);
  expect(found?.relativeP).toBeCloseTo(0.06191, 5);
  expect(found?.effect).toBeCloseTo(0.29, 4);
  expect(found?.effectLow).toBeCloseTo(0.04538, 5);
  expect(found?.effectHigh).toBeCloseTo(0.53462, 5);
  expect(found?.p).toBeCloseTo(0.02016, 5);
});

test('the published figures, in SQL', async () => {
  const rows = await sql<Record<string, unknown>>(
    cluster.endpoints.clickhouseHttp,
    `SELECT * FROM v_experiment_results(days = 14) WHERE experiment_id = '${ID}'`,
  );
  const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const named = rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [camel(k), v])));
  compare((variant, metric) => named.find((r) => r.variant === variant && r.metric === metric) ?? {});
  const men = named.find((r) => r.variant === 'Mens E-Mail' && r.metric === 'revenue');
  expect(Number(men?.cupedTheta)).toBeCloseTo(0.0012229, 6);
});
