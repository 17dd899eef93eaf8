import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ShopCluster } from './shop-cluster.ts';
import { watchState } from './unchanged.ts';

interface BadQuery {
  readonly what: string;
  readonly query: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly says: RegExp;
}

const CASES: readonly BadQuery[] = [
  { what: 'INSERT', query: "INSERT INTO recur.events (customer_id) VALUES ('x')", says: /READONLY/ },
  { what: 'INSERT … SELECT', query: 'INSERT INTO recur.events SELECT * FROM recur.events', says: /READONLY/ },
  { what: 'DROP', query: 'DROP TABLE recur.events', says: /not DROP.*READONLY/ },
  { what: 'TRUNCATE', query: 'TRUNCATE TABLE recur.events', says: /READONLY/ },
  { what: 'ALTER … DELETE', query: 'ALTER TABLE recur.events DELETE WHERE 1', says: /READONLY/ },
  { what: 'CREATE', query: 'CREATE TABLE recur.mine (a Int8) ENGINE = Memory', says: /READONLY/ },
  { what: 'SYSTEM', query: 'SYSTEM SHUTDOWN', says: /READONLY/ },
  { what: 'KILL', query: 'KILL QUERY WHERE 1', says: /READONLY/ },
  { what: 'several statements', query: 'SELECT 1; DROP TABLE recur.events', says: /Multi-statements/ },
  { what: 'a statement behind a comment', query: '/* SELECT */ DROP TABLE recur.events', says: /READONLY/ },
  { what: 'file()', query: "SELECT * FROM file('/etc/passwd', LineAsString)", says: /file.*ACCESS_DENIED/ },
  { what: 'file() as a function', query: "SELECT file('/etc/passwd')", says: /file.*ACCESS_DENIED/ },
  { what: 'file, quoted', query: "SELECT `file`('/etc/passwd')", says: /file.*ACCESS_DENIED/ },
  { what: 'INTO OUTFILE', query: "SELECT 1 INTO OUTFILE '/tmp/recur-e2e-outfile'", says: /OUTFILE.*ACCESS_DENIED/i },
  {
    what: 'url()',
    query: "SELECT * FROM url('http://169.254.169.254/latest/meta-data', LineAsString)",
    says: /url.*ACCESS_DENIED|READONLY/,
  },
  { what: 'remote()', query: "SELECT * FROM remote('127.0.0.1', system.one)", says: /remote.*ACCESS_DENIED/ },
  { what: 's3()', query: "SELECT * FROM s3('http://x/y', 'CSV')", says: /s3.*ACCESS_DENIED/ },
  { what: 'executable()', query: "SELECT * FROM executable('id', TSV, 'a String')", says: /executable.*ACCESS_DENIED/ },
  { what: 'users and their secrets', query: 'SELECT * FROM system.users', says: /system\.users.*ACCESS_DENIED/ },
  { what: 'queries of others', query: 'SELECT * FROM system.processes', says: /system\.processes.*ACCESS_DENIED/ },
  {
    what: 'server settings',
    query: 'SELECT * FROM system.server_settings',
    says: /system\.server_settings.*ACCESS_DENIED/,
  },
  { what: 'the environment', query: "SELECT getSetting('readonly') FROM system.`environment`", says: /ACCESS_DENIED/ },
  {
    what: 'a table named from outside',
    query: 'SELECT * FROM {db:Identifier}.users',
    parameters: { param_db: 'system' },
    says: /ACCESS_DENIED|Parameter db/,
  },
  { what: 'writing switched on', query: 'SELECT 1 SETTINGS readonly = 0', says: /READONLY/ },
  { what: 'a limit lifted', query: 'SELECT 1 SETTINGS max_memory_usage = 0', says: /READONLY/ },
  { what: 'a setting in the address', query: 'SELECT 1', parameters: { allow_ddl: '1' }, says: /allow_ddl.*READONLY/ },
  { what: 'another database', query: 'SELECT 1', parameters: { database: 'system' }, says: /UNKNOWN_DATABASE/ },
  {
    what: 'a wrong password',
    query: 'SELECT 1',
    parameters: { user: 'default', password: 'guess' },
    says: /AUTHENTICATION_FAILED/,
  },
  { what: 'no query', query: ' ', says: /Empty query/ },
  { what: 'half a query', query: 'SELECT (', says: /SYNTAX_ERROR/ },
  { what: 'a table that is not there', query: 'SELECT * FROM recur.secrets', says: /secrets.*UNKNOWN_TABLE/ },
  {
    what: 'more rows than anybody reads',
    query: 'SELECT number FROM system.numbers LIMIT 2000000',
    says: /TOO_MANY_ROWS_OR_BYTES|limit/i,
  },
  {
    what: 'work without end',
    query: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1',
    parameters: { max_execution_time: '0.5' },
    says: /TIMEOUT_EXCEEDED/,
  },
];

export function badQueries(theShop: () => ShopCluster): void {
  let unchanged: () => Promise<void>;
  beforeAll(async () => {
    unchanged = await watchState(theShop());
  });
  afterAll(() => unchanged());

  test.each(CASES)('$what', async ({ query, parameters = {}, says }) => {
    const url = new URL(theShop().endpoints.clickhouseHttp);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const answer = await fetch(url, { method: 'POST', body: query });
    const text = await answer.text();
    expect(answer.status, text.slice(0, 500)).toBeGreaterThanOrEqual(400);
    expect(text).toMatch(says);
    expect(text).not.toContain('root:');
  });
}
