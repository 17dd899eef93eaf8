import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { bundled } from '#tools/testkit/bundled.ts';

const MAIN = await bundled(join(import.meta.dirname, 'sample-service.ts'));

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** sample-service.ts as a process of its own, with its log lines. */
export class SampleProcess {
  readonly lines: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #text = '';

  constructor(env: Record<string, string>) {
    this.#child = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exit = once(this.#child, 'exit').then(([code]) => code as number | null);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.lines.push({ level: 'stderr', msg: text });
    });
  }

  get exited(): Promise<number | null> {
    return this.#exit;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first line that says it; fails with the whole log when the process ends or takes too long. */
  async line(msg: string | RegExp, timeoutMs = 20_000): Promise<LogLine> {
    const end = performance.now() + timeoutMs;
    while (performance.now() < end) {
      const found = this.lines.find((line) => (typeof msg === 'string' ? line.msg === msg : msg.test(line.msg)));
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`No line ${msg} in:\n${this.lines.map((line) => JSON.stringify(line)).join('\n')}`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  #take(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) this.lines.push(JSON.parse(line) as LogLine);
  }
}
