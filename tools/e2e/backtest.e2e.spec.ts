import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ExplainJourneyRequest, VerdictKind } from '#gen/recur/journey/v1/service.ts';
import { sql } from '#tools/library/sql.ts';
import { ROOT } from '#tools/servers/node.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { dataSet } from './data-set.ts';
import { AS_OF, importRetail, prepareShop, RETAIL_FILE } from './retail.ts';
import { ShopCluster } from './shop-cluster.ts';
import { difference } from './tables.ts';

/**
 * Nine months of a real shop with journeys on; then the same months again as a backtest, from what ClickHouse has of them.
 * Whatever was decided about a message, when and why, has to be the same.
 */
const MAPPING = join(import.meta.dirname, 'online-retail-mails.yaml');
const LIBRARY = join(ROOT, 'services/journey/library');

let shop: ShopCluster;
let out: string;
beforeAll(async () => {
  dataSet(RETAIL_FILE);
  out = mkdtempSync(join(tmpdir(), 'recur-backtest-'));
  deleteWithUs(out);
  shop = await ShopCluster.start({ clock: 'event', timeZone: 'UTC' });
  await prepareShop(shop);
  const { rows, bad } = await importRetail(shop, { mappingFile: MAPPING });
  expect({ rows, bad }).toEqual({ rows: 320_705, bad: 0 });
  await shop.api.ingest.advanceClock({ timeMs: AS_OF });
  await shop.quiescence.reached('the import to have all its effects');
});
afterAll(() => shop?.stop());

interface Decided extends Record<string, unknown> {
  customer_id: string;
  ms: number;
  key: string;
  journey_id: string;
  node_id: string;
  outcome: string;
  reason: string;
}

const live = async (): Promise<Decided[]> =>
  sql<Decided>(
    shop.endpoints.clickhouseHttp,
    `SELECT customer_id, toUnixTimestamp64Milli(log_time) AS ms, idempotency_key AS key, journey_id, node_id, outcome, reason
     FROM decisions`,
  );

const line = ({ customer_id, ms, key, journey_id, node_id, outcome, reason }: Decided): string =>
  [customer_id, ms, key, journey_id, node_id, outcome, reason].join(' ');

async function run(...args: string[]): Promise<string> {
  const command = [join(ROOT, 'tools/backtest/cli.ts'), ...args, '--data', shop.cluster.dir];
  return (await promisify(execFile)(process.execPath, command, { cwd: ROOT, maxBuffer: 1 << 26 })).stdout;
}

async function backtested(name: string, ...args: string[]): Promise<{ lines: string[]; result: Backtested }> {
  const file = join(out, `${name}.jsonl`);
  const result = JSON.parse(await run(...args, '--json', '--messages', file)) as Backtested;
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const decided = lines.map((text) => {
    const { customerId, timeMs, key, journeyId, nodeId, outcome, reason } = JSON.parse(text) as Record<string, string>;
    return [customerId, timeMs, key, journeyId, nodeId, outcome, reason].join(' ');
  });
  return { lines: decided.sort(), result };
}

interface Backtested {
  readonly customers: number;
  readonly first: {
    readonly journeys: readonly {
      readonly id: string;
      readonly totals: Record<string, number>;
      readonly days: readonly { day: string; sent: number; entered: number }[];
    }[];
  };
  readonly difference?: { both: number; onlyFirst: number; onlySecond: number; messages: number };
}

test('every decision is the one of the live run: journeys the shop has', async () => {
  const expected = (await live()).map(line).sort();
  expect(expected.length).toBeGreaterThan(2_000);
  const ids = ['welcome', 'day14', 'winback90'];
  const { lines, result } = await backtested('live', ...ids, '--from', '2010-01-01', '--to', '2011-09-01');
  expect(difference(expected, lines)).toEqual({ missing: [], extra: [] });
  const { sent } = (
    await sql<{ sent: number }>(
      shop.endpoints.clickhouseHttp,
      "SELECT countIf(status = 'sent') AS sent FROM deliveries",
    )
  )[0] ?? { sent: 0 };
  const total = result.first.journeys.reduce((sum, { totals }) => sum + (totals.sent ?? 0), 0);
  expect([total, sent > 1_000]).toEqual([sent, true]);
  for (const { id, totals } of result.first.journeys) {
    const [steps] = await sql<{ entered: number; converted: number; left: number }>(
      shop.endpoints.clickhouseHttp,
      `SELECT countIf(action = 'enrolled') AS entered, countIf(action = 'converted') AS converted, countIf(action = 'exited') AS left
       FROM journey_steps WHERE journey_id = '${id}'`,
    );
    expect([id, totals]).toMatchObject([id, steps as Record<string, number>]);
  }
});

test('the same journeys from their files, beside others of the shop and alone', async () => {
  const files = ['day14', 'winback90'].map((id) => join(LIBRARY, `${id}.yaml`));
  const { lines } = await backtested('files', ...files, '--from', '2010-01-01', '--to', '2011-09-01');
  expect(difference((await live()).map(line).sort(), lines)).toEqual({ missing: [], extra: [] });
  const alone = await backtested('alone', files[0] as string, '--alone', '--from', '2010-01-01', '--to', '2011-09-01');
  expect(alone.result.first.journeys.map(({ id }) => id)).toEqual(['day14']);
});

test('from a day on: nobody enters before, whoever was there before is known', async () => {
  const { result } = await backtested('later', 'winback90', '--from', '2011-06-01', '--to', '2011-09-01');
  const winback = result.first.journeys.find(({ id }) => id === 'winback90');
  expect(winback?.days[0]?.day.slice(0, 7)).toBe('2011-06');
  const [entered] = await sql<{ n: number }>(
    shop.endpoints.clickhouseHttp,
    `SELECT count() AS n FROM segment_changes WHERE segment_id = 'lapsed_90' AND entered AND log_time >= '2011-06-01'`,
  );
  // Re-entry after 180 days cannot bind within 92.
  expect(winback?.totals.entered).toBe(entered?.n);
});

test('two versions compared', async () => {
  const shorter = join(out, 'shorter.yaml');
  const text = readFileSync(join(LIBRARY, 'day14.yaml'), 'utf8');
  writeFileSync(shorter, text.replace('duration: P14D', 'duration: P7D'));
  const { result } = await backtested(
    'compared',
    ...['day14', '--compare', shorter, '--from', '2011-01-01', '--to', '2011-09-01'],
  );
  // Fewer have ordered again, and left, within a week than within two.
  expect(result.difference?.messages).toBeGreaterThan(0);
  expect(result.difference?.onlySecond).toBeGreaterThan(0);
  const shown = await run('day14', '--compare', shorter, '--from', '2011-01-01', '--to', '2011-09-01');
  expect(shown).toMatch(/day14\nmonth .*entered/);
  expect(shown).toMatch(/Customers who get a message: \d+ in both/);
});

const {
  VERDICT_KIND_SENT,
  VERDICT_KIND_HELD_OUT,
  VERDICT_KIND_LEFT,
  VERDICT_KIND_WAITING,
  VERDICT_KIND_NOT_TRIGGERED,
} = VerdictKind;

test.each<[what: string, kind: VerdictKind, words: RegExp, customers: string]>([
  [
    'got the mail of day 14',
    VERDICT_KIND_SENT,
    /Message care was sent/,
    `SELECT customer_id FROM deliveries WHERE journey_id = 'day14' AND status = 'sent'`,
  ],
  [
    'is in the hold-out of day 14',
    VERDICT_KIND_HELD_OUT,
    /hold-out of experiment day14/,
    `SELECT customer_id FROM exposures WHERE journey_id = 'day14' AND hold_out = 1`,
  ],
  [
    'ordered again within the two weeks',
    VERDICT_KIND_LEFT,
    /Left at .* before a message was due/,
    `SELECT customer_id FROM journey_steps WHERE journey_id = 'day14' AND action = 'exited' AND reason NOT IN ('sent', 'hold_out')
       AND customer_id NOT IN (SELECT customer_id FROM exposures WHERE journey_id = 'day14')`,
  ],
  [
    'ordered less than two weeks ago',
    VERDICT_KIND_WAITING,
    /at two_weeks since 2011-08/,
    `SELECT customer_id FROM journey_steps WHERE journey_id = 'day14' AND action = 'enrolled'
       AND customer_id NOT IN (SELECT customer_id FROM journey_steps WHERE journey_id = 'day14' AND action = 'exited')`,
  ],
  [
    'never ordered',
    VERDICT_KIND_NOT_TRIGGERED,
    /entering segment first_order/,
    `SELECT customer_id FROM v_customers WHERE identified AND orders = 0`,
  ],
])('why: a customer who %s', async (_, kind, words, customers) => {
  const found = await sql<{ customer_id: string }>(
    shop.endpoints.clickhouseHttp,
    `SELECT DISTINCT customer_id FROM (${customers}) ORDER BY customer_id LIMIT 20`,
  );
  expect(found.length).toBeGreaterThan(0);
  for (const { customer_id: customerId } of found) {
    const answer = await shop.api.journey.explainJourney({ customerId, journeyId: 'day14', fromMs: 0 });
    expect(answer).toMatchObject({ customerId, verdict: { kind } });
    expect(answer.verdict?.said?.english).toMatch(words);
    expect(answer.verdict?.said?.chinese).toMatch(/。$/);
    const times = answer.records.map(({ timeMs }) => timeMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  }
});

test('why: of whom nothing is known, and of a journey that is not there', async () => {
  const explainJourney = (request: ExplainJourneyRequest) => shop.api.journey.explainJourney(request);
  const nobody = await explainJourney({ customerId: 'nobody', journeyId: 'day14', fromMs: 0 });
  expect(nobody).toMatchObject({ verdict: { kind: VERDICT_KIND_NOT_TRIGGERED }, records: [] });
  await expect(explainJourney({ customerId: 'x', journeyId: 'day15', fromMs: 0 })).rejects.toThrow(/day15/);
  await expect(explainJourney({ customerId: '', journeyId: 'day14', fromMs: 0 })).rejects.toThrow(/customer_id/);
  await expect(explainJourney({ customerId: 'x', journeyId: 'day14', fromMs: -1 })).rejects.toThrow(/from_ms/);
});

test.each([
  [['day14'], '--from is missing'],
  [['nothing', '--from', '2011-01-01'], 'nothing is no file, and the shop has no journey of that name'],
  [['day14', '--from', 'tomorrow'], '--from: tomorrow must be a day like 2026-03-01'],
  [['day14', '--from', '2011-02-30'], '--from: 2011-02-30 must be a day'],
  [['day14', '--from', '2011-08-01', '--to', '2011-07-01'], '--to: must be after --from'],
])('bad options: %j', async (args, message) => {
  await expect(run(...(args as string[]))).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});
