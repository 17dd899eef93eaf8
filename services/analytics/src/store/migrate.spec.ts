import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.ts';
import { ChangedMigrationError, migrate, readMigrations, statements } from './migrate.ts';

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
  sql: 'CREATE TABLE recur.a (x UInt8) ENGINE = Memory;\n-- more\nCREATE TABLE recur.b (x UInt8) ENGINE = Memory;\n',
};
const two = { name: '002_b.sql', sql: 'ALTER TABLE recur.a ADD COLUMN IF NOT EXISTS y UInt8;\n' };

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

  it('a semicolon inside a line ends nothing', () => {
    expect(statements("SELECT ';' ;\n-- c\nSELECT 2;\n")).toEqual(["SELECT ';'", 'SELECT 2']);
  });
});
