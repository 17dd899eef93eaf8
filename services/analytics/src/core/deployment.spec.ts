import { describe, expect, it } from 'vitest';
import { EMBEDDED, parseDeployment, statementFor } from './deployment.ts';

const CLUSTER = parseDeployment('http://ch:8123/?cluster=shop');
const on = (sql: string) => statementFor(CLUSTER, sql);

describe('the setting', () => {
  it('names one of three', () => {
    expect(parseDeployment('')).toEqual(EMBEDDED);
    expect(parseDeployment('http://ch:8123')).toEqual({ kind: 'server', url: 'http://ch:8123/' });
    expect(CLUSTER).toEqual({ kind: 'cluster', url: 'http://ch:8123/', cluster: 'shop' });
  });

  it.each([
    ['tcp://ch:9000', 'http://host:8123'],
    ['ch', 'http://host:8123'],
    ['http://u:secret@ch/?cluster=a b', 'cluster must be'],
  ])('%s is refused without being quoted', (setting, says) => {
    expect(() => parseDeployment(setting)).toThrow(says);
    expect(() => parseDeployment(setting)).not.toThrow('secret');
  });
});

describe('statements', () => {
  it('stay as they are on the embedded engine and on one server', () => {
    const sql = 'CREATE TABLE recur.a (x UInt8) ENGINE = MergeTree ORDER BY x';
    expect(statementFor(EMBEDDED, sql)).toBe(sql);
    expect(statementFor(parseDeployment('http://ch:8123'), sql)).toBe(sql);
  });

  it.each([
    ['CREATE DATABASE IF NOT EXISTS recur', 'CREATE DATABASE IF NOT EXISTS recur ON CLUSTER `shop`'],
    [
      'CREATE TABLE IF NOT EXISTS recur.a (x UInt8) ENGINE = MergeTree ORDER BY x',
      "CREATE TABLE IF NOT EXISTS recur.a ON CLUSTER `shop` (x UInt8) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}') ORDER BY x",
    ],
    [
      'CREATE TABLE recur.a\n(\n    x UInt8\n)\nENGINE = ReplacingMergeTree(x)\nORDER BY x',
      "CREATE TABLE recur.a ON CLUSTER `shop`\n(\n    x UInt8\n)\nENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', x)\nORDER BY x",
    ],
    ['CREATE OR REPLACE VIEW recur.v AS SELECT 1', 'CREATE OR REPLACE VIEW recur.v ON CLUSTER `shop` AS SELECT 1'],
    [
      'CREATE OR REPLACE FUNCTION recur_f AS (x) -> x',
      'CREATE OR REPLACE FUNCTION recur_f ON CLUSTER `shop` AS (x) -> x',
    ],
    ['ALTER TABLE recur.a ADD COLUMN y UInt8', 'ALTER TABLE recur.a ON CLUSTER `shop` ADD COLUMN y UInt8'],
    ['DROP VIEW IF EXISTS recur.v', 'DROP VIEW IF EXISTS recur.v ON CLUSTER `shop`'],
    ['SYSTEM RELOAD DICTIONARY recur.d', 'SYSTEM RELOAD DICTIONARY ON CLUSTER `shop` recur.d'],
    ['GRANT SELECT ON recur.* TO recur_analyst', 'GRANT ON CLUSTER `shop` SELECT ON recur.* TO recur_analyst'],
    [
      'CREATE SETTINGS PROFILE IF NOT EXISTS recur_analyst SETTINGS readonly = 2',
      'CREATE SETTINGS PROFILE IF NOT EXISTS recur_analyst ON CLUSTER `shop` SETTINGS readonly = 2',
    ],
    ["INSERT INTO recur.a VALUES ('CREATE TABLE')", "INSERT INTO recur.a VALUES ('CREATE TABLE')"],
  ])('on a cluster: %s', (sql, wanted) => {
    expect(on(sql)).toBe(wanted);
  });
});
