import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SavedTable } from './clickhouse-copy.ts';
import type { Cut } from './cut.ts';
import type { StreamDescription } from './snapshot.ts';

export const MANIFEST = 'backup.json';
const VERSION = 1;

/** What a backup says of itself: written last, so that a folder without it is no backup. */
export interface Manifest {
  readonly version: number;
  readonly takenAt: string;
  readonly partitions: number;
  readonly clock: 'live' | 'event';
  /** The shop's, where it was known. */
  readonly timeZone: string;
  readonly streams: readonly { readonly file: string; readonly description: StreamDescription }[];
  /** What of LOG and INGEST counts. Not there when none was found, and in backups up to 0.1.0. */
  readonly cut?: Cut | undefined;
  readonly redis: { readonly file: string; readonly keys: number };
  /** Not there when ClickHouse is a server, which backs itself up. */
  readonly tables: readonly SavedTable[] | undefined;
  /** Names of the secret files copied, or only named. */
  readonly secrets: { readonly copied: boolean; readonly names: readonly string[] };
  /** Of each file, by its path in the folder. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

export class BackupError extends Error {}

export const newManifest = (rest: Omit<Manifest, 'version'>): Manifest => ({ version: VERSION, ...rest });

export async function fingerprint(file: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return { bytes: (await stat(file)).size, sha256: hash.digest('hex') };
}

/**
 * The manifest of a folder, once every file is what it was.
 * @throws BackupError naming the file that is not
 */
export async function checkedManifest(folder: string): Promise<Manifest> {
  const file = join(folder, MANIFEST);
  if (!existsSync(file)) throw new BackupError(`${folder} is no backup, or one that broke off: it has no ${MANIFEST}.`);
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  if (manifest.version !== VERSION)
    throw new BackupError(`${file} is of version ${manifest.version}, this reads version ${VERSION}.`);
  for (const [name, wanted] of Object.entries(manifest.files)) {
    const path = join(folder, name);
    if (!existsSync(path)) throw new BackupError(`${path} is missing.`);
    const found = await fingerprint(path);
    if (found.sha256 !== wanted.sha256)
      throw new BackupError(`${path} is not what was written: ${found.bytes} of ${wanted.bytes} bytes, or others.`);
  }
  return manifest;
}
