import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import { type Engine, EngineError, quote } from '../engine/engine.ts';

export const DATABASE = 'recur';

export interface Migration {
  /** NNN_what.sql, or NNN_what.server.sql */
  readonly name: string;
  readonly sql: string;
  /** Users, roles, grants: the embedded engine has none. */
  readonly serverOnly: boolean;
}

/** A migration that has still to run, with the statements as this deployment gets them. */
export interface Pending {
  readonly name: string;
  readonly checksum: string;
  readonly statements: readonly string[];
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
    const number = /^(\d{3})_[a-z0-9_]+(?:\.server)?\.sql$/.exec(name)?.[1];
    if (number === undefined) throw new Error(`migration ${name}: the name must be NNN_what.sql`);
    const other = numbers.get(number);
    if (other !== undefined) throw new Error(`migration ${name}: ${other} has the number ${number} already`);
    numbers.set(number, name);
  }
  return Promise.all(
    names.map(async (name) => ({
      name,
      sql: await readFile(join(folder, name), 'utf8'),
      serverOnly: name.endsWith('.server.sql'),
    })),
  );
}

/** What was applied to this database: name → checksum. Changes nothing, also when there is no database yet. */
export async function appliedMigrations(engine: Engine): Promise<Map<string, string>> {
  try {
    const rows = await engine.rows<{ name: string; checksum: string }>(
      `SELECT name, checksum FROM ${DATABASE}.migrations WHERE name LIKE '%.sql'`,
    );
    return new Map(rows.map((r) => [r.name, r.checksum]));
  } catch (error) {
    if (error instanceof EngineError && ['UNKNOWN_DATABASE', 'UNKNOWN_TABLE'].includes(error.type)) return new Map();
    throw error;
  }
}

/**
 * What would have to run. Pure: a dry run is this and nothing else.
 * @throws ChangedMigrationError naming the file that changed or is gone
 */
export function pendingMigrations(
  applied: ReadonlyMap<string, string>,
  migrations: readonly Migration[],
  deployment: Deployment = EMBEDDED,
): Pending[] {
  for (const name of applied.keys()) {
    if (!migrations.some((m) => m.name === name))
      throw new ChangedMigrationError(`migration ${name} was applied to this database, but there is no such file`);
  }
  return migrations.flatMap(({ name, sql, serverOnly }) => {
    const checksum = createHash('sha256').update(sql).digest('hex');
    const before = applied.get(name);
    if (before === checksum || (serverOnly && deployment.kind === 'embedded')) return [];
    if (before !== undefined) {
      throw new ChangedMigrationError(
        `migration ${name} was changed after it was applied (${before.slice(0, 12)}… → ${checksum.slice(0, 12)}…); add a new one instead`,
      );
    }
    return [{ name, checksum, statements: statements(sql).map((s) => statementFor(deployment, repeatable(s))) }];
  });
}

/** What holds the record of migrations, made before the first one. */
export function groundwork(deployment: Deployment): string[] {
  return [
    `CREATE DATABASE IF NOT EXISTS ${DATABASE}`,
    `CREATE TABLE IF NOT EXISTS ${DATABASE}.migrations
    (
      name String COMMENT 'File in migrations/',
      checksum String COMMENT 'SHA-256 of the file',
      applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
    ) ENGINE = MergeTree ORDER BY name COMMENT 'Migrations that were applied'`,
  ].map((sql) => statementFor(deployment, sql));
}

/**
 * Brings the database to the state the migrations describe; returns the names of those it ran. ClickHouse has no
 * transactions over DDL: a migration that breaks off in the middle is run again from its start, so each statement must stand
 * being repeated (the runner turns CREATE into CREATE … IF NOT EXISTS).
 */
export async function migrate(
  engine: Engine,
  migrations: readonly Migration[],
  deployment: Deployment = EMBEDDED,
  onApply: (name: string) => void = () => {},
): Promise<string[]> {
  // Looked at first: a file that changed must be refused before anything is touched.
  const pending = pendingMigrations(await appliedMigrations(engine), migrations, deployment);
  for (const sql of groundwork(deployment)) await engine.command(sql);
  for (const { name, checksum, statements } of pending) {
    onApply(name);
    for (const statement of statements) await engine.command(statement);
    await engine.command(
      `INSERT INTO ${DATABASE}.migrations (name, checksum) VALUES (${quote(name)}, ${quote(checksum)})`,
    );
  }
  return pending.map(({ name }) => name);
}

/** Statements of a file: each ends with a semicolon at the end of a line. */
export function statements(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .map((s) => s.replace(/^\s*--.*$/gm, '').trim())
    .filter((s) => s !== '');
}

const repeatable = (statement: string): string =>
  statement.replace(
    /^CREATE (TABLE|DATABASE|DICTIONARY|FUNCTION|ROLE|QUOTA|SETTINGS PROFILE) (?!IF NOT EXISTS)/i,
    'CREATE $1 IF NOT EXISTS ',
  );
