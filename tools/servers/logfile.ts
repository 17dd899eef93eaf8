import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

/** The last lines of a file that may be large; only its end is read, and nothing before byte `from`. */
export function tailOf(file: string, lines: number, from = 0): string {
  if (!existsSync(file)) return '';
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(from, size - Math.max(16_384, lines * 512));
    if (size <= start) return '';
    const bytes = Buffer.alloc(size - start);
    readSync(fd, bytes, 0, bytes.length, start);
    return bytes.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    closeSync(fd);
  }
}
