import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClickHouseHttp } from '../src/http/clickhouse-http.ts';
import { Spool } from '../src/http/spool.ts';
import { DAY, order, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

let temp: TempEngine;
let http: ClickHouseHttp;
let base: string;
const errors: unknown[] = [];

beforeAll(async () => {
  temp = await tempEngine();
  const at = Date.UTC(2026, 0, 5);
  await temp.store(
    new SampleLog().add(
      0,
      Array.from({ length: 50 }, (_, i) => order(`c${i % 10}`, `o${i}`, at + i * DAY, i + 0.25)),
    ),
  );
  http = new ClickHouseHttp({
    engine: temp.engine,
    spool: await Spool.open(join(temp.dataDir, 'exports')),
    version: '26.7.2.1',
    timeZone: 'UTC',
    admits: (_, password) => password === '' || password === 'right',
    knownHost: (host) => host.startsWith('127.0.0.1:'),
    onError: (e) => errors.push(e),
  });
  base = `http://127.0.0.1:${await http.listen('127.0.0.1', 0)}`;
});
afterAll(async () => {
  await http.close(1_000);
  await temp.drop();
  expect(errors).toEqual([]);
});

const get = (query: string, more: Record<string, string> = {}) =>
  fetch(`${base}/?${new URLSearchParams({ query, ...more })}`);
const post = (body: string, more: Record<string, string> = {}, headers = {}) =>
  fetch(`${base}/?${new URLSearchParams(more)}`, { method: 'POST', body, headers });

/** Nothing unpacked on the way, as fetch would. */
const raw = (sql: string, more: Record<string, string>, headers: Record<string, string>) =>
  new Promise<{ headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const url = `${base}/?${new URLSearchParams({ query: sql, ...more })}`;
    request(url, { headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }));
    })
      .on('error', reject)
      .end();
  });

describe('as curl uses it', () => {
  it('answers health checks', async () => {
    expect(await (await fetch(`${base}/ping`)).text()).toBe('Ok.\n');
    expect(await (await fetch(base)).text()).toBe('Ok.\n');
    expect((await fetch(`${base}/nowhere`)).status).toBe(404);
  });

  it('answers queries by GET and POST, in the format asked for', async () => {
    const plain = await get("SELECT 1, 'x'");
    expect([plain.status, await plain.text()]).toEqual([200, '1\tx\n']);
    expect(plain.headers.get('x-clickhouse-format')).toBe('TabSeparated');
    expect(plain.headers.get('content-type')).toBe('text/tab-separated-values; charset=UTF-8');
    expect(plain.headers.get('x-clickhouse-query-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(plain.headers.get('x-clickhouse-summary') ?? '')).toMatchObject({ read_rows: '1' });
    expect(await (await post('SELECT count() AS n, sum(amount) AS s FROM events FORMAT JSONEachRow')).text()).toBe(
      '{"n":50,"s":1237.5}\n',
    );
    expect(await (await post('SELECT count() FROM v_orders', { default_format: 'CSV' })).text()).toBe('50\n');
    expect(await (await post('FROM v_orders', { query: 'SELECT uniqExact(customer_id)' })).text()).toBe('10\n');
    expect((await get('SELECT 1', { query_id: 'mine' })).headers.get('x-clickhouse-query-id')).toBe('mine');
  });

  it('fills parameters', async () => {
    const answer = await post('SELECT {a:String}, {b:UInt64} + 1, {c:Array(String)}, {d:DateTime64(3)}', {
      param_a: "o'; DROP TABLE x",
      param_b: '41',
      param_c: "['x','y\\'z']",
      param_d: '2026-01-01 00:00:00',
    });
    expect(await answer.text()).toBe("o\\'; DROP TABLE x\t42\t['x','y\\'z']\t2026-01-01 00:00:00.000\n");
    const rfm = await post("SELECT count() FROM v_rfm_mean(as_of = {as_of:DateTime64(3, 'UTC')})", {
      param_as_of: '2026-06-01 00:00:00',
    });
    expect(await rfm.text()).toBe('0\n');
  });

  it('reports errors as ClickHouse does', async () => {
    const syntax = await get('SELECT 1 +');
    expect([syntax.status, syntax.headers.get('x-clickhouse-exception-code')]).toEqual([400, '62']);
    expect(await syntax.text()).toMatch(
      /^Code: 62\. DB::Exception: Syntax error: [\s\S]* \(SYNTAX_ERROR\) \(version 26\.7\.2\.1\)\n$/,
    );
    const table = await get('SELECT * FROM nowhere');
    expect([table.status, table.headers.get('x-clickhouse-exception-code')]).toEqual([404, '60']);
    expect((await get('SELECT 1', { password: 'wrong' })).status).toBe(403);
    expect((await get('SELECT 1', { password: 'right' })).status).toBe(200);
    expect((await get('SELECT 1', { database: 'system' })).status).toBe(404);
    expect((await get('SELECT 1', { default_format: "JSON'" })).status).toBe(404);
    expect((await post(`SELECT '${'x'.repeat(300_000)}'`)).status).toBe(400);
    expect((await post('SELECT 1', {}, { 'content-encoding': 'lz4' })).status).toBe(501);
    const notGzip = await post('SELECT 1', {}, { 'content-encoding': 'gzip' });
    expect([notGzip.status, notGzip.headers.get('x-clickhouse-exception-code')]).toEqual([400, '271']);
    const native = await post('SELECT 1', { compress: '1' });
    expect([native.status, await native.text()]).toEqual([501, expect.stringContaining('choose gzip')]);
    const multipart = await post('SELECT 1', {}, { 'content-type': 'multipart/form-data; boundary=x' });
    expect([multipart.status, await multipart.text()]).toEqual([501, expect.stringContaining('External tables')]);
  });

  it('knows who asks by URL, ClickHouse headers, Basic and Bearer', async () => {
    const basic = (password: string) => `Basic ${Buffer.from(`analyst:${password}`).toString('base64')}`;
    const tried = await Promise.all(
      ['right', 'wrong'].flatMap((password) => [
        get('SELECT 1', { user: 'analyst', password }),
        post('SELECT 1', {}, { 'x-clickhouse-user': 'analyst', 'x-clickhouse-key': password }),
        post('SELECT 1', {}, { authorization: basic(password) }),
        post('SELECT 1', {}, { authorization: `Bearer ${password}` }),
      ]),
    );
    expect(tried.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 403, 403, 403, 403]);
    expect(tried.at(-1)?.headers.get('x-clickhouse-exception-code')).toBe('516');
  });

  it('packs answers as asked, and unpacks requests within the bound of a query', async () => {
    const sql = "SELECT repeat('x', 10000)";
    const unpack = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
    for (const [coding, unpacked] of Object.entries(unpack)) {
      const answer = await raw(sql, { enable_http_compression: '1' }, { 'accept-encoding': `lz4, ${coding};q=0.5` });
      expect(answer.headers['content-encoding']).toBe(coding);
      expect(answer.body.length).toBeLessThan(1_000);
      expect(unpacked(answer.body).toString()).toBe(`${'x'.repeat(10_000)}\n`);
    }
    const plain = await raw(sql, {}, { 'accept-encoding': 'gzip' });
    expect([plain.headers['content-encoding'], plain.body.length]).toEqual([undefined, 10_001]);
    const packed = await post(gzipSync('SELECT 42') as never, {}, { 'content-encoding': 'gzip' });
    expect(await packed.text()).toBe('42\n');
    const bomb = await post(
      gzipSync(`SELECT '${'x'.repeat(20_000_000)}'`) as never,
      {},
      { 'content-encoding': 'gzip' },
    );
    expect([bomb.status, bomb.headers.get('x-clickhouse-exception-code')]).toEqual([400, '62']);
  });

  it('exports more than an answer may hold, whole files of any format, and keeps nothing', async () => {
    const sql = 'SELECT number AS n, toString(number) AS s FROM numbers(2000000); -- all of them';
    const tooMuch = await post(sql, { default_format: 'CSV' });
    expect(tooMuch.headers.get('x-clickhouse-exception-code')).toBe('396');
    const csv = await (await post(sql, { export: '1', default_format: 'CSVWithNames' })).text();
    expect([csv.length, csv.slice(0, 14)]).toEqual([33_777_780 + 8, '"n","s"\n0,"0"\n']);
    const parquet = Buffer.from(await (await post(sql, { export: '1', default_format: 'Parquet' })).arrayBuffer());
    expect([parquet.toString('latin1', 0, 4), parquet.toString('latin1', parquet.length - 4)]).toEqual([
      'PAR1',
      'PAR1',
    ]);
    const packed = await raw(
      sql,
      { export: '1', default_format: 'TSV', enable_http_compression: '1' },
      { 'accept-encoding': 'gzip' },
    );
    expect(gunzipSync(packed.body).length).toBe(29_777_780);
    const empty = await post('SELECT 1 WHERE 0', { export: '1', default_format: 'CSV' });
    expect([empty.status, await empty.text()]).toEqual([200, '']);
    const refused = await Promise.all([
      post('SELECT 1 FORMAT CSV', { export: '1' }),
      post("INSERT INTO events (customer_id) VALUES ('x')", { export: '1' }),
      post('SELECT number FROM numbers(100)', { export: '1', max_result_rows: '10' }),
      post('SELECT * FROM nowhere', { export: '1' }),
    ]);
    expect(refused.map((answer) => answer.headers.get('x-clickhouse-exception-code'))).toEqual([
      '36',
      '164',
      '396',
      '60',
    ]);
    expect(await readdir(join(temp.dataDir, 'exports'))).toEqual([]);
  });

  it('writes Native in the revision a client speaks', async () => {
    const columns = [
      'number AS a',
      'toString(number) AS b',
      "toFixedString('ab', 2) AS c",
      'toDecimal64(1.5, 6) AS d',
      "toDateTime64('2026-01-02 03:04:05', 3, 'UTC') AS e",
      'toLowCardinality(toString(number % 3)) AS f',
      'if(number % 2 = 0, NULL, number) AS g',
      'range(number) AS h',
      "map('k', number) AS i",
      "(number, 'x', [toLowCardinality('y')])::Tuple(n UInt64, `it''s, ok` String, l Array(LowCardinality(String))) AS j",
      'toUUID(toString(generateUUIDv4())) = toUUID(toString(generateUUIDv4())) AS k',
      "CAST(1, 'Enum8(\\'a, (b\\' = 1, \\'c\\' = 2)') AS l",
      "CAST(['x', NULL], 'Array(LowCardinality(Nullable(String)))') AS m",
      'toDecimal128(1, 20) AS o',
      'INTERVAL 1 DAY AS p',
      '[]::Array(UInt8) AS q',
      'NULL AS r',
    ];
    const from = ' FROM numbers(5) FORMAT Native';
    const bytesOf = async (select: string, more = {}) =>
      Buffer.from(await (await post(`SELECT ${select}${from}`, more)).arrayBuffer());
    const expected = [Buffer.of(1, 0, 2, 255, 255, 255, 255, 0), Buffer.of(columns.length, 5)];
    for (const column of columns) {
      const one = await bytesOf(column);
      const nameEnd = 3 + (one[2] as number);
      const dataFrom = nameEnd + 1 + (one[nameEnd] as number);
      expected.push(one.subarray(2, dataFrom), Buffer.of(0), one.subarray(dataFrom));
    }
    const all = columns.join(', ');
    expect((await bytesOf(all, { client_protocol_version: '54460' })).toString('hex')).toBe(
      Buffer.concat(expected).toString('hex'),
    );
    expect(await bytesOf(all, { client_protocol_version: '54405' })).toHaveLength(
      Buffer.concat(expected).length - columns.length,
    );
    expect(await bytesOf(all)).toHaveLength(Buffer.concat(expected).length - columns.length - 8);
    const json = await post(`SELECT '{}'::JSON AS x${from}`, { client_protocol_version: '54460' });
    expect([json.status, await json.text()]).toEqual([501, expect.stringContaining('JSON')]);
  });

  it('answers nobody who came by another name', async () => {
    const status = await new Promise((resolve, reject) => {
      request(`${base}/?query=SELECT%201`, { headers: { host: 'evil.example' } }, (r) => resolve(r.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

describe('reads only', () => {
  it.each([
    "INSERT INTO events (customer_id) VALUES ('x')",
    'DROP TABLE events',
    'SET readonly = 0',
    'SELECT 1; SELECT 2',
    "SELECT file('/etc/passwd')",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    "SELECT `f\\x69le`('/etc/passwd')",
    "SELECT 1 INTO OUTFILE '/tmp/recur-outfile-test'",
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM eval('SELECT 1')",
    'SELECT * FROM system.processes',
    'SELECT 1 SETTINGS readonly = 0',
    'SELECT 1 SETTINGS max_execution_time = 1000',
    "EXPLAIN SELECT * FROM file('/etc/passwd', LineAsString)",
  ])('refuses %s', async (sql) => {
    const answer = await post(sql);
    const text = await answer.text();
    expect(answer.status, text).toBeGreaterThanOrEqual(400);
    expect(text).not.toContain('root:');
  });

  it('the engine alone refuses to write, should the guard ever miss something', async () => {
    const read = (sql: string) =>
      temp.engine.read({
        sql,
        format: 'TSV',
        database: 'recur',
        params: {},
        settings: {},
        limits: { seconds: 5, memoryBytes: 1 << 28, resultRows: 10, resultBytes: 1 << 20, threads: 1 },
      });
    await expect(read("INSERT INTO events (customer_id) VALUES ('x')")).rejects.toMatchObject({ type: 'READONLY' });
    await expect(read("SELECT * FROM file('/etc/passwd', LineAsString)")).rejects.toMatchObject({ type: 'READONLY' });
    await expect(read('SET readonly = 0')).rejects.toMatchObject({ type: 'READONLY' });
    await expect(read('SELECT number FROM numbers(11)')).rejects.toMatchObject({ type: 'TOO_MANY_ROWS_OR_BYTES' });
  });

  it('settings: how a result looks may be changed, limits only lowered', async () => {
    expect(
      await (
        await get('SELECT 1::UInt64 AS x FORMAT JSONEachRow', { output_format_json_quote_64bit_integers: '1' })
      ).text(),
    ).toBe('{"x":"1"}\n');
    expect((await get('SELECT 1', { allow_ddl: '1' })).headers.get('x-clickhouse-exception-code')).toBe('164');
    const slow = 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1';
    const answer = await get(slow, { max_execution_time: '0.3' });
    expect([answer.status, answer.headers.get('x-clickhouse-exception-code')]).toEqual([408, '159']);
    const rows = await get('SELECT number FROM numbers(100)', { max_result_rows: '10' });
    expect(rows.headers.get('x-clickhouse-exception-code')).toBe('396');
    const memory = await get('SELECT length(groupArray(toString(number))) FROM numbers(100000000)', {
      max_memory_usage: '100000000',
    });
    expect(memory.headers.get('x-clickhouse-exception-code')).toBe('241');
  });

  it('slow queries neither block inserts nor pile up', async () => {
    const slow = 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1';
    const under = Array.from({ length: 20 }, () =>
      get(slow, { max_execution_time: '1' }).then((r) => r.headers.get('x-clickhouse-exception-code')),
    );
    await new Promise((r) => setTimeout(r, 100));
    const started = performance.now();
    await temp.store(new SampleLog(900).add(1, [order('late', 'o-late', Date.UTC(2026, 3, 1), 1)]));
    const insertMs = performance.now() - started;
    const codes = await Promise.all(under);
    expect(insertMs).toBeLessThan(1_000);
    expect(codes.filter((c) => c === '202').length).toBe(2);
    expect(codes.filter((c) => c === '159').length).toBe(18);
  });
});

describe('@clickhouse/client', () => {
  it('queries with parameters, streams, and gets typed errors', async () => {
    const client = createClient({
      url: base,
      username: 'analyst',
      password: 'right',
      database: 'recur',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
    });
    try {
      expect((await client.ping()).success).toBe(true);
      const packed = createClient({ url: base, compression: { response: true } });
      expect(await (await packed.query({ query: 'SELECT 7 AS x', format: 'JSONEachRow' })).json()).toEqual([{ x: 7 }]);
      await packed.close();
      const result = await client.query({
        query:
          'SELECT customer_id, count() AS orders FROM v_orders WHERE customer_id = {id:String} GROUP BY customer_id',
        query_params: { id: 'c3' },
        format: 'JSON',
      });
      expect(await result.json()).toMatchObject({ data: [{ customer_id: 'c3', orders: '5' }], rows: 1 });
      const seen: unknown[] = [];
      const stream = await client.query({ query: 'SELECT number FROM numbers(3)', format: 'JSONEachRow' });
      for await (const rows of stream.stream()) for (const row of rows) seen.push(row.json());
      expect(seen).toEqual([{ number: '0' }, { number: '1' }, { number: '2' }]);
      await expect(client.query({ query: 'SELECT * FROM nowhere', format: 'JSON' })).rejects.toMatchObject({
        code: '60',
        type: 'UNKNOWN_TABLE',
      });
      await expect(
        client.insert({ table: 'events', values: [{ customer_id: 'x' }], format: 'JSONEachRow' }),
      ).rejects.toMatchObject({ type: 'READONLY' });
    } finally {
      await client.close();
    }
  });
});

it('nothing above was written anywhere', () => {
  expect(() => readFileSync('/tmp/recur-outfile-test')).toThrow();
});
