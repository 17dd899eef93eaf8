import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { checkQuery } from './sql-guard.ts';

const refused = (sql: string, params = {}) => {
  const found = checkQuery(sql, params);
  return 'code' in found ? found.type : undefined;
};

describe('sql guard', () => {
  it.each([
    'SELECT 1',
    "select * from recur.v_customers where name = 'file' -- url(",
    'WITH x AS (SELECT 1) SELECT * FROM x FORMAT JSON',
    '(SELECT 1) UNION ALL (SELECT 2);',
    'SHOW TABLES FROM recur',
    'SHOW CREATE TABLE recur.events',
    'DESCRIBE recur.events',
    'EXPLAIN SELECT 1',
    'EXISTS recur.events',
    "SELECT JSONExtractString(context, 'url') AS url FROM recur.events",
    'SELECT name FROM system.tables',
    "SELECT * FROM recur.v_rfm(as_of = {as_of:DateTime64(3, 'UTC')}, recency_days = 90, frequency = 1, monetary = 10)",
    "SELECT format('{}', 1), numbers.number FROM numbers(3)",
    "SELECT 'it''s; DROP TABLE x', \"a\", `b` /* ; file */ # file\n",
    "SELECT $$ file(';') $$",
  ])('lets through %s', (sql) => expect(checkQuery(sql, { as_of: '2026-01-01' })).not.toHaveProperty('code'));

  it.each([
    ['INSERT INTO recur.events VALUES (1)', 'READONLY'],
    ['SET readonly = 0', 'READONLY'],
    ['DROP TABLE recur.events', 'READONLY'],
    ['KILL QUERY WHERE 1', 'READONLY'],
    ['USE system', 'READONLY'],
    ['SYSTEM FLUSH LOGS', 'READONLY'],
    ['SELECT 1; DROP TABLE recur.events', 'SYNTAX_ERROR'],
    ["SELECT file('/etc/passwd')", 'ACCESS_DENIED'],
    ["SELECT `file`('/etc/passwd')", 'ACCESS_DENIED'],
    ['SELECT "FILE" (\'/etc/passwd\')', 'ACCESS_DENIED'],
    ["SELECT arrayMap(file, ['/etc/passwd'])", 'ACCESS_DENIED'],
    ['SELECT * APPLY(file) FROM x', 'ACCESS_DENIED'],
    ["SELECT `f\\x69le`('/etc/passwd')", 'SYNTAX_ERROR'],
    ["SELECT 1 INTO OUTFILE '/tmp/x'", 'ACCESS_DENIED'],
    ["SELECT * FROM url('http://169.254.169.254/', LineAsString)", 'ACCESS_DENIED'],
    ["SELECT * FROM s3 /* x */ ('http://a/b', 'CSV')", 'ACCESS_DENIED'],
    ["SELECT * FROM eval('SELECT 1')", 'ACCESS_DENIED'],
    ["DESCRIBE TABLE remote('host', db, t)", 'ACCESS_DENIED'],
    ['SELECT * FROM system.processes', 'ACCESS_DENIED'],
    ['SELECT * FROM "system"."users"', 'ACCESS_DENIED'],
    ['SELECT * FROM `system` . /* */ processes', 'ACCESS_DENIED'],
    ["SELECT * FROM merge('system', '.*')", 'ACCESS_DENIED'],
    ['SHOW PROCESSLIST', 'ACCESS_DENIED'],
    ['SHOW GRANTS', 'ACCESS_DENIED'],
    ["SELECT 'open", 'SYNTAX_ERROR'],
    ['SELECT \u2018a\u2019', 'SYNTAX_ERROR'],
    ['', 'SYNTAX_ERROR'],
    [' ; -- nothing', 'SYNTAX_ERROR'],
    ["SELECT {a: file('/etc/passwd')}", 'ACCESS_DENIED'],
  ])('refuses %s', (sql, type) => expect(refused(sql)).toBe(type));

  it('identifiers given as parameters', () => {
    expect(refused('SELECT * FROM {t:Identifier}', { t: 'events' })).toBeUndefined();
    expect(refused('SELECT * FROM { db : Identifier }.processes', { db: 'system' })).toBe('ACCESS_DENIED');
    expect(refused('SELECT * FROM {t:Identifier}', { t: 'system.processes' })).toBe('ACCESS_DENIED');
    expect(refused("SELECT {f:Identifier}('/etc/passwd')", { f: 'file' })).toBe('ACCESS_DENIED');
  });

  it('tells where the query ends, whatever follows', () => {
    const sql = "SELECT 'a;' FROM x";
    for (const tail of ['', ';', ' ; -- that was it', '\n/* ; */;'])
      expect(checkQuery(sql + tail)).toMatchObject({ end: sql.length });
  });

  it('tells the format the query asks for', () => {
    expect(checkQuery('SELECT 1 FORMAT JSONEachRow')).toMatchObject({ format: 'JSONEachRow' });
    expect(checkQuery('SELECT 1 FORMAT CSV SETTINGS a = 1')).toMatchObject({ format: 'CSV' });
    expect(checkQuery("SELECT format('{}', 'FORMAT CSV')")).toMatchObject({ format: undefined });
  });

  it('no dangerous word gets through in any spelling of it outside strings and comments', () => {
    const spelled = fc
      .constantFrom('file', 'outfile', 'url(', 's3(', 'system.users', 'eval (')
      .chain((word) =>
        fc
          .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
          .map((up) => [...word].map((c, i) => (up[i] ? c.toUpperCase() : c)).join('')),
      );
    const between = fc.constantFrom(' ', '\n', '/* */', '--x\n', '(', ', ');
    fc.assert(
      fc.property(between, spelled, between, (a, word, b) => {
        expect(refused(`SELECT${a} ${word}${b}`)).toBeDefined();
      }),
    );
  });

  it('never throws, whatever comes', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (sql) => void checkQuery(`SELECT ${sql}`)));
  });

  it('reads a long query in about linear time', () => {
    const cpuMs = (times: number): number => {
      const sql = `SELECT ${'('.repeat(times)}${"'a' + `b` ".repeat(times / 5)}`;
      const before = process.cpuUsage();
      checkQuery(sql);
      return process.cpuUsage(before).user / 1_000;
    };
    cpuMs(10_000);
    const short = Math.max(1, cpuMs(10_000));
    expect(cpuMs(100_000) / short).toBeLessThan(60);
  });
});
