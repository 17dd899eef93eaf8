import { mkdirSync, mkdtempSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundle, root } from '#tools/build/bundle.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';

/**
 * A test's own program as one file, for those who start it again and again: from its sources every start takes three times as long.
 * @returns where it is. Within the repository, since it finds some packages by where it lies; gone with the test process.
 */
export async function bundled(entry: string): Promise<string> {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const dir = mkdtempSync(join(root, 'dist/test-'));
  deleteWithUs(dir);
  const name = basename(entry, '.ts');
  await bundle(dir, { [name]: entry });
  return join(dir, `${name}.js`);
}
