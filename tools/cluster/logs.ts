import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tailOf } from '#tools/servers/logfile.ts';

export interface LogOptions {
  /** `profile` means all its replicas. All logs when empty. */
  names: readonly string[];
  lines: number;
  follow: boolean;
  /** Ends following. */
  signal?: AbortSignal;
  write: (text: string) => void;
}

/** Shows the last lines of logs, also of a cluster that runs no more; and what comes, when asked to follow. */
export async function showLogs(dataDir: string, options: LogOptions): Promise<void> {
  const { names, lines, follow, signal, write } = options;
  const files = logsIn(dataDir, names);
  const prefix = (file: string) => (files.length === 1 ? '' : `${basename(file, '.log').padEnd(14)} | `);
  const print = (file: string, text: string) => {
    if (text !== '') write(`${text.replace(/\n$/, '').replace(/^/gm, prefix(file))}\n`);
  };
  for (const file of files) print(file, tailOf(file, lines));
  if (!follow) return;
  const readers = files.map((file) => ({ file, reader: new Reader(file) }));
  while (signal?.aborted !== true) {
    for (const { file, reader } of readers) print(file, reader.next());
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function logsIn(dataDir: string, names: readonly string[]): string[] {
  const dir = join(dataDir, 'logs');
  const all = existsSync(dir)
    ? readdirSync(dir)
        .filter((file) => file.endsWith('.log'))
        .sort()
    : [];
  if (all.length === 0) throw new Error(`There are no logs in ${dataDir}.`);
  const chosen = names.length === 0 ? all : all.filter((file) => names.some((name) => isLogOf(file, name)));
  const unknown = names.find((name) => !all.some((file) => isLogOf(file, name)));
  if (unknown !== undefined) {
    throw new Error(
      `There is no log of ${unknown}; there are those of ${all.map((file) => basename(file, '.log')).join(', ')}.`,
    );
  }
  return chosen.map((file) => join(dir, file));
}

function isLogOf(file: string, name: string): boolean {
  return file === `${name}.log` || (file.startsWith(`${name}-`) && /^\d+\.log$/.test(file.slice(name.length + 1)));
}

/** Reads whole lines as they are added to a file. */
class Reader {
  readonly #file: string;
  #position: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#file = file;
    this.#position = statSync(file).size;
  }

  next(): string {
    const size = existsSync(this.#file) ? statSync(this.#file).size : 0;
    // Put aside, and begun anew.
    if (size < this.#position) this.#position = 0;
    const length = Math.min(size - this.#position, 1 << 20);
    if (length === 0) return '';
    const bytes = Buffer.alloc(length);
    const fd = openSync(this.#file, 'r');
    try {
      readSync(fd, bytes, 0, length, this.#position);
    } finally {
      closeSync(fd);
    }
    this.#position += length;
    const all = Buffer.concat([this.#rest, bytes]);
    const end = all.lastIndexOf(10) + 1;
    this.#rest = all.subarray(end);
    return all.toString('utf8', 0, end);
  }
}
