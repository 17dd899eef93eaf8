import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlockBuilder, type Refused } from '../src/core/batch.ts';
import { StoredPositions } from '../src/core/stored.ts';
import { TABLES } from '../src/core/tables.ts';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { loadCustomerMap } from '../src/store/customer-map.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { makeViews } from '../src/store/views.ts';
import type { SampleLog } from './sample-log.ts';

const HOME = join(import.meta.dirname, '..');
export const MIGRATIONS = join(HOME, 'migrations');
export const VIEWS = join(HOME, 'views');

export interface TempEngine {
  readonly engine: ChdbEngine;
  readonly dataDir: string;
  /** Writes a log into the tables as the sink does. */
  store(log: SampleLog): Promise<{ blocks: { table: string; rows: number }[]; refused: Refused[] }>;
  drop(): Promise<void>;
}

/** The embedded engine on a folder of its own, with all tables and views. A process can have one folder open at a time. */
export async function tempEngine(shopTimeZone = 'Asia/Shanghai'): Promise<TempEngine> {
  const dataDir = await mkdtemp(join(tmpdir(), 'recur-analytics-'));
  const engine = await ChdbEngine.open(dataDir);
  await migrate(engine, await readMigrations(MIGRATIONS));
  await makeViews(engine, VIEWS, shopTimeZone);
  return {
    engine,
    dataDir,
    store: async (log) => {
      const builder = new BlockBuilder(new StoredPositions());
      for (const frame of log.frames) builder.add(frame);
      const blocks = builder.take();
      for (const b of blocks)
        await engine.insert(
          `recur.${b.table}`,
          (TABLES.get(b.table) ?? []).map((c) => c.name),
          b.data,
        );
      if (blocks.some((b) => b.table === 'identity_changes')) await loadCustomerMap(engine);
      return { blocks: blocks.map(({ table, rows }) => ({ table, rows })), refused: builder.refused };
    },
    drop: async () => {
      await engine.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
