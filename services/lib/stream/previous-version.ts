import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something an earlier version wrote, and what it meant by it. */
interface Written {
  /** The subject of a frame, the key of a state. */
  readonly where: string;
  readonly bytes: string;
  means?: unknown;
}

/** Reads one, as JSON would show it. */
export type Reading = (where: string, bytes: Buffer) => unknown;

/**
 * What the version before this one wrote (`previous.json` of a folder, recorded by `npm run upgrade -- --record`), as read now and
 * as it was meant. What was added since may be there as well: compare with `toMatchObject`. With RECUR_RECORD=1 the reading of
 * now is kept as what is meant: only of code of the version that wrote it.
 */
export function previousVersion(folder: string, read: Reading): { where: string; means: object; reads: object }[] {
  const file = join(folder, 'previous.json');
  if (!existsSync(file)) throw new Error(`${file} is missing: npm run upgrade -- --record makes it.`);
  const all = JSON.parse(readFileSync(file, 'utf8')) as Written[];
  const readings = all.map(({ where, bytes }) => plain(read(where, Buffer.from(bytes, 'base64'))));
  if (process.env.RECUR_RECORD === '1') {
    all.forEach((each, i) => {
      each.means = readings[i];
    });
    writeFileSync(file, `${JSON.stringify(all, undefined, 2)}\n`);
  }
  return all.map(({ where, means }, i) => {
    if (means === undefined) throw new Error(`${file}: nobody says what ${where} means. RECUR_RECORD=1 does.`);
    return { where, means: means as object, reads: readings[i] as object };
  });
}

/** As JSON: bytes as base64, maps and sets as lists. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, v: unknown) => (v instanceof Map || v instanceof Set ? [...v] : bytesAsText(v))),
  );
}

function bytesAsText(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  const buffer = value as { type?: string; data?: number[] } | null;
  return buffer?.type === 'Buffer' && Array.isArray(buffer.data) ? Buffer.from(buffer.data).toString('base64') : value;
}
