import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';

/** Public data nobody here wrote, beside the project and not part of it; RECUR_DATA_SETS names another place. */
export function dataSet(path: string): string {
  const folder = process.env.RECUR_DATA_SETS ?? join(ROOT, '../shared/data');
  const file = join(folder, path);
  if (existsSync(file)) return file;
  throw new Error(
    `DATA SET MISSING: there is no ${file}.\n` +
      'This test checks Recur against reference figures of public data and means nothing without them. ' +
      'Put the data sets beside the project in ../shared/data, or name their folder in RECUR_DATA_SETS.',
  );
}
