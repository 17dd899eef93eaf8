import type { Violation } from '../core/metric-check.ts';
import { type Engine, EngineError, type ReadLimits } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/** For looking at a metric: far below what an analyst's query may take. */
export const LOOK: ReadLimits = {
  seconds: 10,
  memoryBytes: 512 << 20,
  resultRows: 1_001,
  resultBytes: 2 << 20,
  threads: 1,
};

const read = (engine: Engine, sql: string, format: string) =>
  engine.read({ sql, format, database: DATABASE, params: {}, settings: {}, limits: LOOK });

/** Has ClickHouse plan the SELECT without running it; what it says against it is a violation of that field. */
export async function dryRun(engine: Engine, field: string, sql: string): Promise<Violation[]> {
  try {
    const described = await read(engine, `DESCRIBE TABLE (\n${sql}\n)`, 'JSONEachRow');
    await read(engine, `EXPLAIN SELECT * FROM (\n${sql}\n)`, 'TabSeparated');
    const names = lines(described.body).map((line) => (JSON.parse(line) as { name: string }).name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    const unnamed = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name));
    if (twice !== undefined) return [{ field, description: `has two columns ${twice}` }];
    if (unnamed !== undefined)
      return [{ field, description: `column ${JSON.stringify(unnamed.slice(0, 80))} needs a name: … AS name` }];
    return [];
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [{ field, description: `ClickHouse: ${error.message.slice(0, 600)} (${error.type})` }];
  }
}

export interface Look {
  readonly columns: string[];
  readonly rowsJson: string[];
  readonly more: boolean;
}

/** The first rows of a SELECT. @throws EngineError */
export async function lookAt(engine: Engine, sql: string, limit: number): Promise<Look> {
  const { body } = await read(engine, `SELECT * FROM (\n${sql}\n) LIMIT ${limit + 1}`, 'JSON');
  const { meta, data } = JSON.parse(Buffer.from(body).toString()) as { meta: { name: string }[]; data: object[] };
  return {
    columns: meta.map(({ name }) => name),
    rowsJson: data.slice(0, limit).map((row) => JSON.stringify(row)),
    more: data.length > limit,
  };
}

const lines = (bytes: Uint8Array): string[] =>
  Buffer.from(bytes)
    .toString()
    .split('\n')
    .filter((line) => line !== '');
