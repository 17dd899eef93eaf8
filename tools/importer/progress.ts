import { SingleBar } from 'cli-progress';

/** A bar for people, a line every few seconds for logs, nothing when quiet. On stderr. */
export class Progress {
  private bar: SingleBar | undefined;
  private lastLine = Date.now();
  private readonly quiet: boolean;

  constructor(quiet: boolean) {
    this.quiet = quiet;
  }

  update(bytes: number, total: number, events: number): void {
    if (this.quiet) return;
    if (process.stderr.isTTY) {
      this.bar ??= this.start(total);
      this.bar.update(bytes, { events });
    } else if (Date.now() - this.lastLine > 5_000) {
      this.lastLine = Date.now();
      console.error(`import: ${Math.floor((100 * bytes) / Math.max(total, 1))} % of the file, ${events} events`);
    }
  }

  end(): void {
    this.bar?.stop();
  }

  private start(total: number): SingleBar {
    const bar = new SingleBar({
      stream: process.stderr,
      format: 'import {bar} {percentage} %  {events} events  {duration_formatted}',
    });
    bar.start(total, 0, { events: 0 });
    return bar;
  }
}
