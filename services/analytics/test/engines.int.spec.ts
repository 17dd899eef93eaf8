// One suite for every engine: what the sink, the migrations and the readers stand on.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Block, BlockBuilder } from '../src/core/batch.ts';
import { EMBEDDED, parseDeployment } from '../src/core/deployment.ts';
import { StoredPositions } from '../src/core/stored.ts';
import { TABLES } from '../src/core/tables.ts';
import type { Engine } from '../src/engine/engine.ts';
import { ServerEngine } from '../src/engine/server-engine.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { ClickHouseSinkStore } from '../src/store/sink-store.ts';
import { type ClickHouseOverHttp, clickHouseOverHttp } from './clickhouse-over-http.ts';
import { order, SampleLog } from './sample-log.ts';
import { MIGRATIONS, type TempEngine, tempEngine } from './temp-engine.ts';

let temp: TempEngine;
let http: ClickHouseOverHttp;
let server: ServerEngine;
beforeAll(async () => {
  temp = await tempEngine();
  http = await clickHouseOverHttp(temp.engine);
  server = new ServerEngine({ url: http.url, user: 'recur', password: 'x', replicated: true });
});
afterAll(async () => {
  await server.close();
  await http.close();
  await temp.drop();
});

describe.each<[string, () => Engine]>([
  ['embedded', () => temp.engine],
  ['server, over HTTP', () => server],
])('%s', (kind, engineOf) => {
  it('says which version it is', async () => {
    expect(await engineOf().version()).toMatch(/^\d+\.\d+/);
  });

  it('runs statements, fills parameters, and gives numbers as numbers', async () => {
    const engine = engineOf();
    await engine.command('CREATE OR REPLACE VIEW recur.v_try AS SELECT {a:UInt64} AS a');
    expect(
      await engine.rows(
        'SELECT a, {b:String} AS b, {c:Array(String)} AS c, 1.5::Decimal(18, 6) AS d FROM recur.v_try(a = {a:UInt64})',
        {
          a: 5_000_000_000,
          b: "Ü\tx\\y'z",
          c: ['y', "it's"],
        },
      ),
    ).toEqual([{ a: 5_000_000_000, b: "Ü\tx\\y'z", c: ['y', "it's"], d: 1.5 }]);
    await engine.command('DROP VIEW recur.v_try');
  });

  it('tells errors in the terms of ClickHouse', async () => {
    await expect(engineOf().rows('SELECT * FROM recur.nowhere')).rejects.toMatchObject({
      code: 60,
      type: 'UNKNOWN_TABLE',
    });
    await expect(engineOf().command('CREATE TABLE recur.x (')).rejects.toMatchObject({
      code: 62,
      type: 'SYNTAX_ERROR',
    });
  });

  it('inserts a block as one part and knows how far it came', async () => {
    const engine = engineOf();
    await engine.command('TRUNCATE TABLE recur.events');
    const builder = new BlockBuilder(new StoredPositions());
    const rows = Array.from({ length: 3_000 }, (_, i) => order(`c${i}`, `o${i}`, Date.UTC(2026, 0, 2), 1));
    for (const frame of new SampleLog(7).add(3, rows).frames) builder.add(frame);
    const store = new ClickHouseSinkStore(engine, 'LOG@1');
    for (const block of builder.take()) await store.insert(block);
    const parts = await engine.rows<{ rows: number }>(
      "SELECT rows FROM system.parts WHERE database = 'recur' AND table = 'events' AND active",
    );
    expect(parts).toEqual([{ rows: 3_000 }]);
    expect((await store.positions(['events'])).seqOf('events', 3, 202601)).toBe(7);
    await store.writeOffset(7);
    expect(await store.offset()).toBe(7);
  });

  it('inserts two blocks that were put together as one part', async () => {
    const engine = engineOf();
    await engine.command('TRUNCATE TABLE recur.events');
    const builder = new BlockBuilder(new StoredPositions());
    const log = new SampleLog(7);
    const take = (from: number) => {
      const rows = Array.from({ length: 700 }, (_, i) =>
        order(`c${from + i}`, `o${from + i}`, Date.UTC(2026, 0, 2), 1),
      );
      const before = log.frames.length;
      for (const frame of log.add(3, rows).frames.slice(before)) builder.add(frame);
      return builder.take().filter(({ table }) => table === 'events');
    };
    const [block, ...rest] = builder.together(take(0), take(700));
    expect(rest).toEqual([]);
    const store = new ClickHouseSinkStore(engine, 'LOG@1');
    await store.insert(block as Block);
    const [parts, rows] = await Promise.all([
      engine.rows("SELECT rows FROM system.parts WHERE database = 'recur' AND table = 'events' AND active"),
      engine.rows('SELECT uniqExact(customer_id) AS customers, max(seq) AS seq FROM recur.events'),
    ]);
    expect(parts).toEqual([{ rows: 1_400 }]);
    expect(rows).toEqual([{ customers: 1_400, seq: 8 }]);
    expect((await store.positions(['events'])).holds(block as Block)).toBe(true);
  });

  it('reads for others within limits, without writing', async () => {
    const limits = { seconds: 5, memoryBytes: 1 << 28, resultRows: 10, resultBytes: 1 << 20, threads: 1 };
    const read = (sql: string) =>
      engineOf().read({ sql, format: 'TabSeparated', database: 'recur', params: { x: '7' }, settings: {}, limits });
    expect(Buffer.from((await read('SELECT {x:UInt8} + 1')).body).toString()).toBe('8\n');
    await expect(read('SELECT number FROM numbers(11)')).rejects.toMatchObject({ type: 'TOO_MANY_ROWS_OR_BYTES' });
    const file = join(temp.dataDir, `result-${kind.length}.tsv`);
    const asked = { sql: 'SELECT {x:UInt8} + 1', format: 'TabSeparated', database: 'recur', params: { x: '7' } };
    await engineOf().readInto(file, { ...asked, settings: {}, limits });
    expect(await readFile(file, 'utf8')).toBe('8\n');
    if (kind === 'embedded') return;
    // What a server is told; that it obeys cannot be seen here.
    expect(http.seen.at(-1)?.settings).toMatchObject({ readonly: '1', max_execution_time: '5', max_result_rows: '10' });
  });

  it('finds all migrations applied', async () => {
    const deployment = kind === 'embedded' ? EMBEDDED : parseDeployment(http.url);
    expect(TABLES.size).toBeGreaterThan(0);
    expect(
      await migrate(
        engineOf(),
        (await readMigrations(MIGRATIONS)).filter((m) => !m.serverOnly),
        deployment,
      ),
    ).toEqual([]);
  });
});

it('on replicas, what is written is on a majority and what is read has all of it', () => {
  const inserts = http.seen.filter(({ query }) => query.startsWith('INSERT INTO recur.events'));
  expect(inserts.length).toBeGreaterThan(0);
  for (const { settings } of inserts) expect(settings).toMatchObject({ insert_quorum: 'auto', async_insert: '0' });
  const reads = http.seen.filter(({ query }) => query.startsWith('SELECT partition'));
  for (const { settings } of reads) expect(settings).toMatchObject({ select_sequential_consistency: '1' });
});
