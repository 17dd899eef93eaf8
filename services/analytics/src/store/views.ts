import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import type { Engine } from '../engine/engine.ts';
import { statements } from './migrate.ts';

/**
 * Views and functions hold no data, so they are simply made anew at every start, in the order of their files.
 * @param shopTimeZone IANA name; checked by the configuration, so it can stand in the SQL
 */
export async function makeViews(
  engine: Engine,
  folder: string,
  shopTimeZone: string,
  deployment: Deployment = EMBEDDED,
): Promise<void> {
  if (!/^[A-Za-z0-9_+/-]{1,64}$/.test(shopTimeZone))
    throw new Error(`shop time zone ${JSON.stringify(shopTimeZone)}: not an IANA name`);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  for (const file of files) {
    const sql = (await readFile(join(folder, file), 'utf8')).replaceAll('{{shop_time_zone}}', shopTimeZone);
    for (const statement of statements(sql)) {
      try {
        await engine.command(statementFor(deployment, statement));
      } catch (error) {
        throw new Error(`${file}: ${statement.slice(0, 80)} …: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}
