import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretsIn } from '#tools/cluster/secrets.ts';
import { until } from '#tools/library/progress.ts';
import { sql } from '#tools/library/sql.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { dataSet } from './data-set.ts';
import { Nemesis } from './nemesis.ts';
import { digestsOf, type Outcome, outcomeOf } from './outcome.ts';
import { AS_OF, importRetail, prepareShop, RETAIL_FILE } from './retail.ts';
import { ShopCluster } from './shop-cluster.ts';
import { difference, digestTables } from './tables.ts';

/**
 * The same history twice: once in peace, once while every process but the mailbox (the world outside) is killed again and
 * again. Nobody may be able to tell which was which.
 */
const MAPPING = join(import.meta.dirname, 'online-retail-mails.yaml');
const SEED = Number(process.env.RECUR_E2E_SEED ?? Date.now() % 1_000_000);
const LEAST_KILLS = 30;
const EVERY_MS = [600, 2_200] as const;

let keys: string;
let shop: ShopCluster | undefined;
beforeAll(() => {
  dataSet(RETAIL_FILE);
  keys = mkdtempSync(join(tmpdir(), 'recur-keys-'));
  deleteWithUs(keys);
  secretsIn(keys);
});
afterAll(() => shop?.stop());

/** A new cluster, with the keys all of them have here, in place of the one before. */
async function start(): Promise<ShopCluster> {
  await shop?.stop();
  shop = undefined;
  shop = await ShopCluster.start({ clock: 'event', timeZone: 'UTC', supervise: true }, keys);
  await prepareShop(shop);
  return shop;
}

async function importAll(shop: ShopCluster): Promise<void> {
  const { rows, skipped, bad } = await importRetail(shop, { mappingFile: MAPPING });
  expect({ rows, skipped, bad }).toEqual({ rows: 320_705, skipped: 0, bad: 0 });
  // Moving the clock twice to the same moment is moving it once.
  await until('the clock to be moved', async () => {
    await shop.api.ingest.advanceClock({ timeMs: AS_OF });
    return true;
  });
}

let peaceful: Outcome;

test('in peace: mails go out, and importing again changes nothing', async () => {
  const shop = await start();
  await importAll(shop);
  await shop.quiescence.reached('the import to have all its effects');
  peaceful = await outcomeOf(shop);
  const mails = peaceful.get('mails') ?? [];
  expect(mails.length).toBeGreaterThan(1_000);
  expect(repeated(mails)).toEqual([]);
  // Every intent was carried out: nothing failed, nothing is unknown.
  expect(
    await sql(
      shop.endpoints.clickhouseHttp,
      'SELECT status, count() AS mails FROM deliveries GROUP BY ALL ORDER BY ALL',
    ),
  ).toEqual([
    { status: 'intent', mails: mails.length },
    { status: 'sent', mails: mails.length },
  ]);

  const tables = await digestTables(shop.endpoints.clickhouseHttp);
  await importAll(shop);
  await shop.quiescence.reached('the second import to have all its effects');
  expect(await digestTables(shop.endpoints.clickhouseHttp)).toEqual(tables);
  expect(digestsOf(await outcomeOf(shop))).toEqual(digestsOf(peaceful));
});

test(`killed again and again: the same (seed ${SEED})`, async () => {
  expect(peaceful, 'the peaceful run did not come to its end').toBeDefined();
  const shop = await start();
  const victims = shop.cluster.members.map(({ name }) => name).filter((name) => name !== 'mailbox');
  const nemesis = new Nemesis(shop.cluster, { seed: SEED, victims });
  try {
    nemesis.start(EVERY_MS);
    await importAll(shop);
    await nemesis.stop(LEAST_KILLS);
    await shop.quiescence.reached('the import to have all its effects');
    const outcome = await outcomeOf(shop);
    const differences = [...peaceful].flatMap(([what, lines]) => {
      const { missing, extra } = difference(lines, outcome.get(what) ?? []);
      return missing.length + extra.length > 0 ? [{ what, onlyInPeace: missing, onlyWhenKilled: extra }] : [];
    });
    expect(differences, nemesis.report).toEqual([]);
    expect(digestsOf(outcome), nemesis.report).toEqual(digestsOf(peaceful));
    expect(repeated(outcome.get('mails') ?? []), nemesis.report).toEqual([]);
    expect(new Set(nemesis.kills.map(({ process }) => process)).size, nemesis.report).toBe(victims.length);
  } catch (error) {
    console.error(nemesis.report);
    throw error;
  }
  console.log(nemesis.report);
});

/** Mails that came more than once. */
function repeated(sorted: readonly string[]): string[] {
  return sorted.filter((mail, i) => i > 0 && mail === sorted[i - 1]);
}
