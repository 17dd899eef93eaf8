import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { importFile } from '../import-file.ts';
import { FakeIngest, type Sent, STORED } from './fake-ingest.ts';

const MAPPING = `
name: till
events:
  - event: Order Completed
    when: [{ column: kind, equals: sale }]
    group_by: receipt
    max_items: 3
    id: receipt
    time: at
    user_id: customer
    properties: { order_id: receipt }
    total: { product_of: [pieces, price] }
    items: { product_id: article, quantity: { column: pieces, type: integer }, price: { column: price, type: number } }
  - event: Till Opened
    when: [{ column: kind, equals: open }]
    id: receipt
    time: at
    anonymous_id: { column: receipt, prefix: till- }
`;

const ROWS = 6_000;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recur-importer-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Receipts whose lines lie between those of others, one that lasts very long, and lines nobody can use. */
function tillRoll(): { csv: string; ids: string[]; bad: number[]; units: Map<string, number> } {
  const lines: string[] = ['kind,receipt,customer,at,article,pieces,price'];
  const pieces = new Map<string, number>();
  const rowsOf = new Map<string, number>();
  const opened: string[] = [];
  const bad: number[] = [];
  for (let i = 0; i < ROWS; i++) {
    const at = new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString();
    if (i % 97 === 50) {
      lines.push(`open,o${i},,${at},,,`);
      opened.push(`till:Till Opened:o${i}`);
    } else if (i % 500 === 123) {
      bad.push(lines.length + 1);
      lines.push(`sale,bad${i},c1,not a time,a,1,1`);
    } else if (i % 400 === 17) lines.push(`note,n${i},,,,,`);
    else {
      // The first receipt gets a line now and then until a third of the file.
      const receipt = i % 700 === 0 && i < ROWS / 3 ? 'r-long' : `r${Math.floor(i / 40) * 10 + (i % 10)}`;
      pieces.set(receipt, (pieces.get(receipt) ?? 0) + (1 + (i % 3)));
      rowsOf.set(receipt, (rowsOf.get(receipt) ?? 0) + 1);
      lines.push(`sale,${receipt},c${i % 50},${at},a${i},${1 + (i % 3)},1.10`);
    }
  }
  const orders = [...rowsOf].flatMap(([receipt, rows]) =>
    rows <= 3
      ? [`till:Order Completed:${receipt}`]
      : Array.from({ length: Math.ceil(rows / 3) }, (_, part) => `till:Order Completed:${receipt}:${part + 1}`),
  );
  return { csv: `${lines.join('\n')}\n`, ids: [...orders, ...opened], bad, units: pieces };
}

function files(csv: string, name = 'roll.csv'): { mapping: string; file: string; work: string } {
  const mapping = join(dir, 'till.yaml');
  const file = join(dir, name);
  const work = join(dir, 'work');
  mkdirSync(work);
  writeFileSync(mapping, MAPPING);
  writeFileSync(file, name.endsWith('.gz') ? gzipSync(csv) : csv);
  return { mapping, file, work };
}

/** A process of its own, as `npm run import` starts one. */
function importer({ mapping, file, work }: ReturnType<typeof files>, url: string) {
  const main = join(import.meta.dirname, '../cli.ts');
  const args = [main, mapping, file, '--url', url, '--write-key', 'wk', '--work', work, '--batch', '40', '--quiet'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return { child, ended: once(child, 'close').then(([code]) => ({ code, said })) };
}

function byId(sent: readonly Sent[]): Map<string, string[]> {
  const contents = new Map<string, string[]>();
  for (const e of sent) contents.set(e.messageId, [...(contents.get(e.messageId) ?? []), JSON.stringify(e)]);
  return contents;
}

describe('an import that is killed again and again', () => {
  test('has sent every event in the end, and what it sent twice is the same to the letter', async () => {
    const roll = tillRoll();
    const input = files(roll.csv, 'roll.csv.gz');
    let kill: (() => void) | undefined;
    const ingest = await FakeIngest.start((_batch, request) => {
      // The batch is stored, its answer never arrives: the worst moment.
      if (request % 13 === 0) {
        kill?.();
        ingest.stored.push(..._batch);
        return undefined;
      }
      return STORED;
    });
    let runs = 0;
    for (;;) {
      const { child, ended } = importer(input, ingest.url);
      kill = () => child.kill('SIGKILL');
      const { code, said } = await ended;
      runs++;
      if (code === 0) {
        expect(said).toContain('Went on at line');
        break;
      }
      expect(code).toBe(null);
      expect(runs).toBeLessThan(30);
    }
    await ingest.stop();

    expect(runs).toBeGreaterThan(3);
    const contents = byId(ingest.stored);
    expect([...contents.keys()].sort()).toEqual([...roll.ids].sort());
    for (const [id, bodies] of contents) expect([id, new Set(bodies).size]).toEqual([id, 1]);
    // Nothing but the batch under way is sent again.
    expect(ingest.stored.length - contents.size).toBeLessThanOrEqual((runs - 1) * 60);
    expect(total(contents)).toBe([...roll.units.values()].reduce((a, b) => a + b, 0) * 110);
    const bad = readFileSync(join(input.work, 'roll.csv.gz.bad.csv'), 'utf8').trim().split('\n').slice(1);
    expect(bad.map((row) => Number(row.split(',')[0])).sort((a, b) => a - b)).toEqual(roll.bad);
  }, 120_000);
});

/** In hundredths, of all orders. */
function total(contents: Map<string, string[]>): number {
  const totals = [...contents.values()].map(([body]) => {
    const { properties } = JSON.parse(body as string) as { properties?: { total?: number } };
    return Math.round(100 * (properties?.total ?? 0));
  });
  return totals.reduce((a, b) => a + b, 0);
}

describe('a file', () => {
  const quiet = { update: () => {} };
  const run = (input: ReturnType<typeof files>, ingest: FakeIngest, rest: object = {}) => {
    const target = { url: ingest.url, writeKey: 'wk' };
    const options = { mappingFile: input.mapping, file: input.file, target, batch: 100, workDir: input.work };
    return importFile({ ...options, fromStart: false, ...rest }, quiet);
  };

  test('is sent in the order of its first lines, and what was left out is counted', async () => {
    const roll = tillRoll();
    const ingest = await FakeIngest.start();
    const result = await run(files(roll.csv), ingest);
    await ingest.stop();
    expect(result).toMatchObject({
      rows: ROWS,
      events: roll.ids.length,
      bad: roll.bad.length,
      skipped: 15,
      resumedAt: 0,
    });
    const times = ingest.stored.map(({ timestamp }) => String(timestamp));
    const first = times.filter((_, i) => !/:[2-9]\d*$/.test(String(ingest.stored[i]?.messageId)));
    expect(first).toEqual([...first].sort());
  });

  test('that is complete is sent again only when asked to, to another source, or changed', async () => {
    const input = files('kind,receipt,customer,at,article,pieces,price\nsale,r1,c1,2026-01-01 10:00:00,a,1,1.10\n');
    const ingest = await FakeIngest.start();
    expect(await run(input, ingest)).toMatchObject({ events: 1, wasComplete: false });
    expect(await run(input, ingest)).toMatchObject({ events: 0, rows: 0, wasComplete: true });
    expect(await run(input, ingest, { fromStart: true })).toMatchObject({ events: 1 });
    expect(await run(input, ingest, { target: { url: ingest.url, writeKey: 'other' } })).toMatchObject({ events: 1 });
    writeFileSync(input.file, `${readFileSync(input.file, 'utf8')}sale,r2,c1,2026-01-01 11:00:00,a,1,1.10\n`);
    expect(await run(input, ingest)).toMatchObject({ events: 2 });
    await ingest.stop();
  });

  test('without a column of the mapping is refused before anything is sent', async () => {
    const ingest = await FakeIngest.start();
    const input = files('kind,receipt,at,article,pieces,price\nsale,r1,2026-01-01,a,1,1\n');
    await expect(run(input, ingest)).rejects.toThrow(/no column customer. It has: kind, receipt/);
    expect(ingest.requests).toEqual([]);
    await ingest.stop();
  });

  test('with malformed lines: they are reported by line, the others imported', async () => {
    const ingest = await FakeIngest.start();
    const input = files(
      [
        '\uFEFFkind,receipt,customer,at,article,pieces,price',
        'sale,r1,c1,2026-01-01 10:00:00,a,1,1.10',
        'sale,r2,c1,2026-01-01 10:00:00,a,1',
        'sale,r3,c1,2026-01-01 10:00:00,"a, with ""quotes"" and\na line break",1,1.10',
        'sale,r4,c1,2026-01-01 10:00:00,a,one,1.10',
        'sale,r5,c1,2026-02-30 10:00:00,a,1,1.10',
        '',
      ].join('\n'),
    );
    const result = await run(input, ingest);
    await ingest.stop();
    expect(ingest.stored.map(({ messageId }) => messageId)).toEqual([
      'till:Order Completed:r1',
      'till:Order Completed:r3',
    ]);
    expect(result).toMatchObject({ events: 2, bad: 3 });
    const bad = readFileSync(result.badFile, 'utf8').trim().split('\n').slice(1);
    expect(bad.map((row) => Number(row.split(',')[0])).sort((a, b) => a - b)).toEqual([3, 6, 7]);
    expect(bad.join('\n')).toMatch(/6,"pieces: ""one"" must be a decimal number"/);
    expect(bad.join('\n')).toMatch(/7,"at: ""2026-02-30 10:00:00"" is no time/);
  });
});
