import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { deleteWithUs } from '#tools/servers/watchdog.ts';

/** A folder for one test, gone when it is over. */
export function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'recur-test-'));
  deleteWithUs(dir);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
