import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { resourceExhausted } from '#lib/rpc/errors.ts';
import { TemplateError } from '../render.ts';
import { markLiquid } from './liquid-marks.ts';

/** Of one language, compiled: Gmail cuts off what is longer than 102 KB. */
export const MAX_HTML_BYTES = 100 * 1024;
const MAX_ERRORS = 20;
/** Together with the one under way. */
const MAX_WAITING = 64;
/** Somebody who writes a template looks at it again and again. */
const IDLE_MS = 600_000;
const OLD_SPACE_MB = 192;
const LOOK_MS = 250;
/** By the clock, whatever the machine was busy with. */
const STOPPED_MS = 120_000;

export interface MjmlError {
  /** From 1; 0 when it is about the whole. */
  readonly line: number;
  readonly message: string;
}

/** One of the two is empty. */
export interface Compiled {
  readonly html: string;
  readonly errors: readonly MjmlError[];
}

/**
 * MJML to HTML, when a template is stored or looked at, never when a message is written. The Liquid in it is left as it is.
 * Works in a thread that starts when it is needed and ends when it was not for ten minutes.
 */
export class MjmlCompiler {
  readonly #file: string;
  readonly #limitMs: number;
  #thread: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * @param file code of the thread
   * @param limitMs of the processor a source may take, with the start of the thread
   */
  constructor(file: string, limitMs = 10_000) {
    this.#file = file;
    this.#limitMs = limitMs;
  }

  /** Of at most 64 KiB, which the caller sees to. @throws RESOURCE_EXHAUSTED when too many wait */
  async compile(source: string): Promise<Compiled> {
    if (this.#waiting >= MAX_WAITING) throw resourceExhausted(1000, 'Too many templates are compiled at once.');
    this.#waiting++;
    const turn = this.#last.then(() => this.#compile(source));
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting--;
    }
  }

  async #compile(source: string): Promise<Compiled> {
    let marked: ReturnType<typeof markLiquid>;
    try {
      marked = markLiquid(source);
    } catch (error) {
      const { line, column, message } = TemplateError.from('html', error);
      return failed([{ line, message: `column ${column}: ${message}` }]);
    }
    const { html, errors } = await this.#inThread(marked.source);
    if (errors.length > 0)
      return failed(errors.map(({ line, message }) => ({ line, message: marked.restore(message).slice(0, 300) })));
    const lost = marked.lost(html).map(({ line, liquid }) => ({
      line,
      message: `${liquid.slice(0, 60)} has no place here: between elements, Liquid stands in <mj-raw>`,
    }));
    if (lost.length > 0) return failed(lost);
    const restored = marked.restore(html);
    const size = Buffer.byteLength(restored);
    if (size <= MAX_HTML_BYTES) return { html: restored, errors: [] };
    return failed([
      { line: 0, message: `must give at most ${MAX_HTML_BYTES} bytes of HTML, more is cut off; gives ${size}` },
    ]);
  }

  #inThread(source: string): Promise<Compiled> {
    clearTimeout(this.#idle);
    this.#thread ??= this.#start();
    const thread = this.#thread;
    return new Promise<Compiled>((resolve) => {
      let ended = false;
      const end = (compiled: Compiled, alive: boolean) => {
        if (ended) return;
        ended = true;
        thread.removeAllListeners();
        // Whatever comes from it later concerns nobody; an error nobody listens to would end the process.
        thread.on('error', () => undefined);
        if (alive) this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
        else void this.close();
        resolve(compiled);
      };
      const dead = (message: string) => end(failed([{ line: 0, message }]), false);
      void this.#overLimit(thread, () => ended).then((over) => over && dead(over));
      thread.removeAllListeners();
      thread.once('message', (compiled: Compiled) => end(compiled, true));
      thread.once('error', (error) => dead(`cannot be compiled: ${error.message.slice(0, 200)}`));
      thread.once('exit', () => dead('cannot be compiled: it was stopped'));
      thread.postMessage(source);
    });
  }

  /** Resolves with what is wrong once the thread has worked for too long; undefined when it was done before. */
  async #overLimit(thread: Worker, isDone: () => boolean): Promise<string | undefined> {
    const begun = performance.now();
    // Of the processor: on a busy machine the clock says little about the source. A thread that is only starting has used none.
    const before = await thread.cpuUsage().catch(() => undefined);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(this.#limitMs, LOOK_MS)));
      if (isDone()) return undefined;
      const used = await thread.cpuUsage(before).catch(() => undefined);
      const cpuMs = used ? (used.user + used.system) / 1000 : 0;
      if (cpuMs > this.#limitMs) return `takes more than ${this.#limitMs} ms of the processor`;
      if (performance.now() - begun > STOPPED_MS) return 'was not compiled in time';
    }
  }

  #start(): Worker {
    const thread = new Worker(this.#file, { resourceLimits: { maxOldGenerationSizeMb: OLD_SPACE_MB }, env: {} });
    thread.unref();
    return thread;
  }

  /** Stops the thread; what it works on fails. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }
}

function failed(errors: readonly MjmlError[]): Compiled {
  return { html: '', errors: errors.slice(0, MAX_ERRORS) };
}

/**
 * The code of the thread: beside the bundle in production, in render/mjml/ when run from source.
 * @param here directory of the bundle, or of src
 */
export function mjmlFile(here: string): string {
  for (const name of ['mjml.worker.js', 'render/mjml/mjml.worker.ts']) {
    const file = join(here, name);
    if (existsSync(file)) return file;
  }
  throw new Error(`mjml.worker is missing in ${here}: the service was not built completely`);
}
