import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Rows that could not be used, as CSV: line, reason. Each line is in it once, also when a resumed run meets it again. */
export class BadRows {
  readonly file: string;
  count = 0;
  private readonly before = new Set<number>();

  constructor(file: string, resumed: boolean) {
    this.file = file;
    if (!resumed) rmSync(file, { force: true });
    else if (existsSync(file)) {
      for (const row of readFileSync(file, 'utf8').split('\n').slice(1)) this.before.add(Number.parseInt(row, 10));
    }
  }

  add(lines: readonly number[], reason: string): void {
    if (!existsSync(this.file)) writeFileSync(this.file, 'line,reason\n');
    const quoted = `"${reason.replaceAll('"', '""').replaceAll(/\s*\n\s*/g, ' ')}"`;
    const fresh = lines.filter((line) => !this.before.has(line));
    appendFileSync(this.file, fresh.map((line) => `${line},${quoted}\n`).join(''));
    this.count += lines.length;
  }
}
