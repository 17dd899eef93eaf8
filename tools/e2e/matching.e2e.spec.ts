import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MatchState } from '#gen/recur/identity/v1/match_service.ts';
import { pairwise } from '#lib/matching/metric.ts';
import { inventPeople } from '#lib/matching/testing/invent.ts';
import { csv } from '#tools/match/lists.ts';
import { ROOT } from '#tools/servers/node.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { ShopCluster } from './shop-cluster.ts';

/** Customers with typing errors, imported as guests of a till, compared by the job and merged by identity. */
const people = inventPeople({
  ...{ language: 'en', seed: 77, originals: 150, duplicates: 150 },
  ...{ most: 3, errors: 2, families: 0, moved: 0 },
});
const columns = people.specs.map((s) => s.column);

let shop: ShopCluster;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recur-matching-'));
  deleteWithUs(dir);
  shop = await ShopCluster.start({ clock: 'live', partitions: 2 });
  const batch = people.rows.map((row, i) => ({
    type: 'identify',
    messageId: `till-${i}`,
    anonymousId: `till-${i}`,
    traits: Object.fromEntries(row.flatMap((value, f) => (value === '' ? [] : [[columns[f], value]]))),
  }));
  const { ingestHttp, writeKey } = shop.endpoints;
  const headers = { 'content-type': 'application/json', authorization: `Basic ${btoa(`${writeKey}:`)}` };
  const answer = await fetch(`${ingestHttp}/v1/batch`, { method: 'POST', headers, body: JSON.stringify({ batch }) });
  expect(answer.status).toBe(200);
  await shop.quiescence.reached('customers to be known');
});
afterAll(() => shop?.stop());

function run(args: readonly string[], killAfterMs?: number) {
  const child = spawn(process.execPath, [join(ROOT, 'tools/match/cli.ts'), ...args, '--data', shop.cluster.dir], {
    cwd: ROOT,
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
}

async function customersOf(rows: number): Promise<string[]> {
  const identifiers = Array.from({ length: rows }, (_, i) => ({
    type: 'anonymous_id',
    key: { $case: 'value' as const, value: `till-${i}` },
  }));
  const { results } = await shop.api.identity.resolveIdentifiers({ identifiers });
  return results.map((r) => r.customerId);
}

const open = { minProbability: 0, customerId: '', pageSize: 1_000, pageToken: '' };

test('a file of customers: proposed, then accepted; killed and repeated, nobody is merged twice', async () => {
  const file = join(dir, 'customers.csv');
  writeFileSync(file, csv([['till', ...columns], ...people.rows.map((row, i) => [`till-${i}`, ...row])]));
  const args = [file, '--id', 'till=anonymous_id', '--out', join(dir, 'file')];
  const proposed = await run([...args, '--propose']);
  expect(proposed.output).toContain('300 customers compared by given_name, surname');
  expect(proposed.code).toBe(0);
  const before = await shop.api.match.listMatches({ state: MatchState.MATCH_STATE_OPEN, ...open });
  expect(before.totalSize).toBeGreaterThan(140);
  expect(new Set(await customersOf(people.rows.length)).size).toBe(300);

  for (const ms of [900, 1_100, 1_300]) await run([...args, '--accept'], ms);
  const accepted = await run([...args, '--accept']);
  expect(accepted.output).toMatch(
    /identity: \d+ open, \d+ merged, 0 refused by a limit, 0 rejected before; \d+ were one already, 0 are not known there\./,
  );
  expect(accepted.code).toBe(0);
  const quality = pairwise(await customersOf(people.rows.length), people.truth);
  expect(quality.precision).toBeGreaterThanOrEqual(0.998);
  expect(quality.f).toBeGreaterThanOrEqual(0.995);

  const again = await run([...args, '--accept', '--again']);
  expect(again.code).toBe(0);
  expect(pairwise(await customersOf(people.rows.length), people.truth)).toEqual(quality);
});

test('the merges are in SQL with their reason, and the customers of the shop have no twins left', async () => {
  await shop.quiescence.reached('merges to be written');
  const merged = new Set(await customersOf(people.rows.length)).size;
  const sql = `SELECT count() AS n, countIf(startsWith(reason, 'fuzzy ')) AS told FROM identity_changes WHERE change = 'merged' FORMAT JSONCompact`;
  const answer = await fetch(`${shop.endpoints.clickhouseHttp}/?database=recur`, { method: 'POST', body: sql });
  const { data } = (await answer.json()) as { data: [[string, string]] };
  expect(data[0].map(Number)).toEqual([300 - merged, 300 - merged]);

  const { code, output } = await run(['--shop', '--out', join(dir, 'shop')]);
  expect(code).toBe(0);
  expect(output).toContain(`${merged} customers compared by`);
  expect(output).toMatch(/ 0 matches accepted/);
});

test('no name or address is in the clear in streams or logs', () => {
  const rare = people.rows.map((row) => row[columns.indexOf('address_1')] as string).filter((v) => v.length > 14);
  const content = filesBelow(shop.cluster.dir)
    .filter((path) => /\/(nats|logs)\//.test(path))
    .map((path) => readFileSync(path));
  expect(content.length).toBeGreaterThan(5);
  for (const street of rare.slice(0, 50)) {
    for (const bytes of content) expect(bytes.includes(street)).toBe(false);
  }
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
