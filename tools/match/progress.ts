import { SingleBar } from 'cli-progress';

/** A bar a step for people, a line every few seconds for logs, nothing when quiet. On stderr. */
export class Progress {
  private bar: SingleBar | undefined;
  private step = '';
  private lastLine = Date.now();
  private readonly quiet: boolean;
  private readonly name: string;

  /** @param name begins each line of a log */
  constructor(quiet: boolean, name = 'match') {
    this.quiet = quiet;
    this.name = name;
  }

  update(step: string, done: number, of: number): void {
    if (this.quiet) return;
    if (process.stderr.isTTY) {
      if (step !== this.step) {
        this.bar?.stop();
        this.bar = new SingleBar({ stream: process.stderr, format: `${step.padEnd(10)} {bar} {percentage} %` });
        this.bar.start(of, done);
      } else this.bar?.update(done);
    } else if (step !== this.step || Date.now() - this.lastLine > 5_000) {
      this.lastLine = Date.now();
      console.error(`${this.name}: ${step} ${of === 0 ? 100 : Math.floor((100 * done) / of)} %`);
    }
    this.step = step;
  }

  end(): void {
    this.bar?.stop();
  }
}
