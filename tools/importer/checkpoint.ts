import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

/** Where a run stands: everything before it is stored. */
export interface Position {
  /** Line to read from; those before it are done with. */
  readonly line: number;
  /** Groups that are stored although rows of them come after `line`: id and last line. */
  readonly stored: readonly (readonly [id: string, lastLine: number])[];
  /** The whole file was imported. */
  readonly complete: boolean;
}

export const START: Position = { line: 0, stored: [], complete: false };

/** What a position belongs to: the file, the mapping, and the source it goes to. Another of any of them begins anew. */
export function fingerprint(file: string, mappingText: string, writeKey: string): string {
  const hash = createHash('sha256').update(mappingText).update('\0').update(writeKey).update('\0');
  // A file of gigabytes is not read twice for this: its size and its beginning tell enough.
  return hash
    .update(`${statSync(file).size}\0`)
    .update(headOf(file))
    .digest('hex')
    .slice(0, 32);
}

function headOf(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(65_536);
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** How far a file was imported, in a file of its own that is whole at every moment. */
export class Checkpoint {
  private readonly path: string;
  private readonly what: string;

  constructor(path: string, what: string) {
    this.path = path;
    this.what = what;
  }

  read(): Position {
    if (!existsSync(this.path)) return START;
    try {
      const { what, ...position } = JSON.parse(readFileSync(this.path, 'utf8')) as Position & { what: string };
      return what === this.what && Number.isInteger(position.line) ? position : START;
    } catch {
      return START;
    }
  }

  save(position: Position): void {
    writeFileSync(`${this.path}.tmp`, JSON.stringify({ what: this.what, ...position }));
    renameSync(`${this.path}.tmp`, this.path);
  }

  forget(): void {
    rmSync(this.path, { force: true });
  }
}
