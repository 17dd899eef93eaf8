import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Where migrations/, views/ and rollups/ are: beside the bundle in production, beside src/ when run from source.
 * @param here directory of the running file
 */
export function sqlFolder(here: string, name: 'migrations' | 'views' | 'rollups'): string {
  for (const up of ['.', '..', '../..']) {
    const folder = join(here, up, name);
    if (existsSync(folder)) return folder;
  }
  throw new Error(`folder ${name} is missing beside ${here}: the service was not built completely`);
}
