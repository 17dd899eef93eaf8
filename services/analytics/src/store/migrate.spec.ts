import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDeployment } from '../core/deployment.ts';
import type { Engine } from '../engine/engine.ts';
import { ChangedMigrationError, migrate, pendingMigrations, readMigrations, statements } from './migrate.ts';

/** Remembers what was run, and the migrations recorded as applied. */
function fakeEngine(): { engine: Engine; ran: string[]; failAt: (text: string) => void } {
  const ran: string[] = [];
  const applied: { name: string; checksum: string }[] = [];
  let failing: string | undefined;
  const engine = {
    command: async (sql: string) => {
      if (failing !== undefined && sql.includes(failing)) throw new Error('broken');
      ran.push(sql);
      const [name, checksum] = /INTO recur\.migrations .*VALUES \('(.*)', '(.*)'\)/.exec(sql)?.slice(1) ?? [];
      if (name && checksum) applied.push({ name, checksum });
    },
    rows: async () => applied,
  } as unknown as Engine;
  return {
    engine,
    ran,
    failAt: (text) => {
      failing = text || undefined;
    },
  };
}

const one = {
  name: '001_a.sql',
  serverOnly: false,
  sql: 'CREATE TABLE recur.a (x UInt8) ENGINE = Memory;\n-- more\nCREATE TABLE recur.b (x UInt8) ENGINE = Memory;\n',
};
const two = { name: '002_b.sql', serverOnly: false, sql: 'ALTER TABLE recur.a ADD COLUMN IF NOT EXISTS y UInt8;\n' };

describe('migrations', () => {
  it('run once, in order', async () => {
    const { engine, ran } = fakeEngine();
    expect(await migrate(engine, [one])).toEqual(['001_a.sql']);
    expect(ran.filter((s) => s.includes('recur.a ('))).toEqual([
      'CREATE TABLE IF NOT EXISTS recur.a (x UInt8) ENGINE = Memory',
    ]);
    expect(await migrate(engine, [one, two])).toEqual(['002_b.sql']);
    expect(await migrate(engine, [one, two])).toEqual([]);
  });

  it('a changed or missing one is refused', async () => {
    const { engine } = fakeEngine();
    await migrate(engine, [one, two]);
    await expect(migrate(engine, [{ ...one, sql: `${one.sql} ` }, two])).rejects.toThrow(ChangedMigrationError);
    await expect(migrate(engine, [one])).rejects.toThrow(
      '002_b.sql was applied to this database, but there is no such file',
    );
  });

  it('one that broke off is run again from its start', async () => {
    const { engine, ran, failAt } = fakeEngine();
    failAt('recur.b');
    await expect(migrate(engine, [one])).rejects.toThrow('broken');
    failAt('');
    expect(await migrate(engine, [one])).toEqual(['001_a.sql']);
    expect(ran.filter((s) => s.includes('EXISTS recur.a')).length).toBe(2);
  });

  it('numbers may have gaps, but not be there twice', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'recur-migrations-'));
    await writeFile(join(folder, '001_a.sql'), '');
    await writeFile(join(folder, '003_c.sql'), '');
    expect((await readMigrations(folder)).map((m) => m.name)).toEqual(['001_a.sql', '003_c.sql']);
    await writeFile(join(folder, '003_d.sql'), '');
    await expect(readMigrations(folder)).rejects.toThrow('003_d.sql: 003_c.sql has the number 003 already');
    await writeFile(join(folder, '002-b.sql'), '');
    await expect(readMigrations(folder)).rejects.toThrow('002-b.sql: the name must be NNN_what.sql');
    await rm(folder, { recursive: true });
  });

  it('a dry run says what would run, and a changed file is refused by name', () => {
    const pending = pendingMigrations(new Map(), [one, two]);
    expect(pending.map((p) => [p.name, p.statements.length])).toEqual([
      ['001_a.sql', 2],
      ['002_b.sql', 1],
    ]);
    const applied = new Map([[one.name, pending[0]?.checksum ?? '']]);
    expect(pendingMigrations(applied, [one, two]).map((p) => p.name)).toEqual(['002_b.sql']);
    expect(() => pendingMigrations(applied, [{ ...one, sql: `${one.sql}-- changed\n` }, two])).toThrow(
      /migration 001_a\.sql was changed/,
    );
  });

  it('users and grants are for servers; on a cluster every statement is for all replicas', () => {
    const grants = {
      name: '003_g.server.sql',
      serverOnly: true,
      sql: 'CREATE ROLE analyst;\nGRANT SELECT ON recur.* TO analyst;\n',
    };
    expect(pendingMigrations(new Map(), [grants])).toEqual([]);
    const cluster = parseDeployment('http://ch?cluster=c');
    expect(pendingMigrations(new Map(), [grants], cluster)[0]?.statements).toEqual([
      'CREATE ROLE IF NOT EXISTS analyst ON CLUSTER `c`',
      'GRANT ON CLUSTER `c` SELECT ON recur.* TO analyst',
    ]);
    const engines = pendingMigrations(new Map(), [one], cluster)[0]?.statements;
    expect(engines?.every((s) => s.includes(' ON CLUSTER `c`'))).toBe(true);
  });

  it('a semicolon inside a line ends nothing', () => {
    expect(statements("SELECT ';' ;\n-- c\nSELECT 2;\n")).toEqual(["SELECT ';'", 'SELECT 2']);
  });
});
