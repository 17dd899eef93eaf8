import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, quote } from '../engine/engine.ts';

export const DATABASE = 'recur';

export interface Migration {
  /** NNN_what.sql */
  readonly name: string;
  readonly sql: string;
}

/** Applied migrations must never change: what a database has would no longer be what the files say. */
export class ChangedMigrationError extends Error {}

/**
 * Migrations of a folder in order. Numbers may have gaps, so that branches made side by side need not agree on the next one.
 * @throws when a name is not NNN_what.sql, or a number is there twice
 */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const numbers = new Map<string, string>();
  for (const name of names) {
    const number = /^(\d{3})_[a-z0-9_]+\.sql$/.exec(name)?.[1];
    if (number === undefined) throw new Error(`migration ${name}: the name must be NNN_what.sql`);
    const other = numbers.get(number);
    if (other !== undefined) throw new Error(`migration ${name}: ${other} has the number ${number} already`);
    numbers.set(number, name);
  }
  return Promise.all(names.map(async (name) => ({ name, sql: await readFile(join(folder, name), 'utf8') })));
}

/**
 * Brings the database to the state the migrations describe; returns the names of those it ran. ClickHouse has no
 * transactions over DDL: a migration that breaks off in the middle is run again from its start, so each statement must stand
 * being repeated (the runner turns CREATE into CREATE … IF NOT EXISTS).
 */
export async function migrate(engine: Engine, migrations: readonly Migration[]): Promise<string[]> {
  await engine.command(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`);
  await engine.command(`CREATE TABLE IF NOT EXISTS ${DATABASE}.migrations
    (
      name String COMMENT 'File in migrations/',
      checksum String COMMENT 'SHA-256 of the file',
      applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
    ) ENGINE = MergeTree ORDER BY name COMMENT 'Migrations that were applied'`);
  const applied = new Map(
    (await engine.rows<{ name: string; checksum: string }>(`SELECT name, checksum FROM ${DATABASE}.migrations`)).map(
      (r) => [r.name, r.checksum],
    ),
  );
  for (const name of applied.keys()) {
    if (!migrations.some((m) => m.name === name))
      throw new ChangedMigrationError(`migration ${name} was applied to this database, but there is no such file`);
  }
  const ran: string[] = [];
  for (const { name, sql } of migrations) {
    const checksum = createHash('sha256').update(sql).digest('hex');
    const before = applied.get(name);
    if (before === checksum) continue;
    if (before !== undefined) {
      throw new ChangedMigrationError(
        `migration ${name} was changed after it was applied (${before.slice(0, 12)}… → ${checksum.slice(0, 12)}…); add a new one instead`,
      );
    }
    for (const statement of statements(sql)) await engine.command(repeatable(statement));
    await engine.command(
      `INSERT INTO ${DATABASE}.migrations (name, checksum) VALUES (${quote(name)}, ${quote(checksum)})`,
    );
    ran.push(name);
  }
  return ran;
}

/** Statements of a file: each ends with a semicolon at the end of a line. */
export function statements(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .map((s) => s.replace(/^\s*--.*$/gm, '').trim())
    .filter((s) => s !== '');
}

const repeatable = (statement: string): string =>
  statement.replace(/^CREATE (TABLE|DATABASE|DICTIONARY|FUNCTION) (?!IF NOT EXISTS)/i, 'CREATE $1 IF NOT EXISTS ');
