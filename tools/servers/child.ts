import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { identityOf } from './identity.ts';
import { tailOf } from './logfile.ts';
import { isRunning, kill, type ProcessRef, signal, terminate } from './signals.ts';
import { endWithUs, forget } from './watchdog.ts';

export interface ChildSpec {
  name: string;
  command: string;
  args: string[];
  /** The whole environment; this process's own when left out. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** How far it stands back for others when they want the processor, too: 0 to 19, as of nice(1). 0 when left out. */
  nice?: number | undefined;
  /** Done before every start: writing the configuration file, for example. */
  prepare?: () => void;
  /** Gets stdout and stderr, appended. A file and not a pipe, so that it works the same when we are gone. */
  logFile: string;
  /** Asked again and again until it says yes. */
  ready: () => Promise<boolean>;
  /** How long it may take to become ready. 60 s when left out. */
  readyTimeoutMs?: number;
  /** How long it may take to end on SIGTERM before it is killed. 15 s when left out. */
  graceMs?: number;
  /** It lives on when this process ends. */
  detached?: boolean;
  /** Told of every start, also of later ones. */
  onStart?: (ref: ProcessRef) => void;
  /** It ran, and ended without stop(). kill9 counts too: that is what it is for. */
  onAccident?: (exit: Exit) => void;
}

/** A log larger than this is put aside when its process starts; the one put aside before is gone then. */
const LOG_LIMIT = 64 * 1024 * 1024;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process could not be started, or did not become ready; with what it said last. */
export class StartError extends Error {
  readonly process: string;
  readonly log: string;
  constructor(process: string, why: string, log: string) {
    super(
      `${process} ${why}${log === '' ? ', and said nothing.' : `. Its last words:\n${log.replace(/^/gm, '    ')}`}`,
    );
    this.process = process;
    this.log = log;
  }
}

/** One process we run: start it, wait until it works, do it harm, end it. */
export class Child {
  readonly spec: ChildSpec;
  #ref: ProcessRef | undefined;
  #exit: Promise<Exit> = Promise.resolve({ code: null, signal: null });
  #wanted = false;
  #starting: Promise<void> | undefined;
  #logStart = 0;

  constructor(spec: ChildSpec) {
    this.spec = spec;
  }

  static async start(spec: ChildSpec): Promise<Child> {
    const child = new Child(spec);
    await child.start();
    return child;
  }

  /** For a process that another program started, known from a file. It can be signalled, stopped and started anew. */
  static adopt(spec: ChildSpec, ref: ProcessRef): Child {
    const child = new Child(spec);
    child.#ref = ref;
    child.#wanted = true;
    return child;
  }

  get name(): string {
    return this.spec.name;
  }
  get pid(): number {
    if (this.#ref === undefined) throw new Error(`${this.name} has not been started.`);
    return this.#ref.pid;
  }
  get ref(): ProcessRef | undefined {
    return this.#ref;
  }
  get running(): boolean {
    return this.#ref !== undefined && isRunning(this.#ref);
  }
  /** It was started and not stopped since, whether it lives or not. */
  get wanted(): boolean {
    return this.#wanted;
  }
  /** How the process that runs now (or ran last) ended, once it has. */
  get exited(): Promise<Exit> {
    return this.#exit;
  }

  /** Starts it and waits until it is ready. When that fails it is ended, and the error shows its last log lines. */
  start(): Promise<void> {
    this.#wanted = true;
    // A second caller (a supervisor, say) waits for the first one's start instead of making a second process.
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.running) return;
    await this.#spawn();
    try {
      await this.ready();
    } catch (error) {
      if (this.#ref !== undefined) await kill(this.#ref);
      throw error;
    }
  }

  /** Waits until it answers; throws when it ended or did not in time. */
  async ready(timeoutMs = this.spec.readyTimeoutMs ?? 60_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (let wait = 10; ; wait = Math.min(wait * 1.5, 200)) {
      if (!this.running)
        throw new StartError(this.name, `ended before it was ready (${await this.#how()})`, this.logTail());
      if (await this.spec.ready().catch(() => false)) return;
      if (performance.now() > deadline) {
        throw new StartError(this.name, `was not ready after ${Math.round(timeoutMs / 1000)} s`, this.logTail());
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  async stop(graceMs = this.spec.graceMs ?? 15_000): Promise<'was gone' | 'ended' | 'killed'> {
    this.#wanted = false;
    return this.#ref === undefined ? 'was gone' : terminate(this.#ref, graceMs);
  }
  async kill9(): Promise<void> {
    if (this.#ref !== undefined) await kill(this.#ref);
  }
  /** SIGSTOP: it neither works nor notices. */
  pause(): void {
    if (this.#ref !== undefined) signal(this.#ref, 'SIGSTOP');
  }
  resume(): void {
    if (this.#ref !== undefined) signal(this.#ref, 'SIGCONT');
  }
  /** Stops it if it runs, and starts it with the same folder and ports. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** What it has written to its log since its last start. */
  logTail(lines = 20): string {
    return tailOf(this.spec.logFile, lines, this.#logStart);
  }

  async #spawn(): Promise<void> {
    const { env = process.env, cwd, prepare, logFile, detached = false, name } = this.spec;
    const [command, args] = commandOf(this.spec);
    prepare?.();
    mkdirSync(dirname(logFile), { recursive: true });
    if (sizeOf(logFile) > LOG_LIMIT) renameSync(logFile, `${logFile}.1`);
    this.#logStart = sizeOf(logFile);
    const log = openSync(logFile, 'a');
    let child: ChildProcess;
    try {
      // A session of its own in any case: Ctrl-C in the terminal ends us, and we (or the watchdog) end it in order.
      child = spawn(command, args, { env, cwd, stdio: ['ignore', log, log], detached: true });
    } finally {
      closeSync(log);
    }
    if (child.pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error];
      throw new StartError(name, `could not be started: ${error.message}`, '');
    }
    const pid = child.pid;
    this.#ref = { pid, identity: identityOf(pid) ?? 'ended at once' };
    if (detached) child.unref();
    else endWithUs(pid);
    this.spec.onStart?.(this.#ref);
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, killedBy) => {
        if (!detached) forget(pid);
        const exit = { code, signal: killedBy };
        resolve(exit);
        // While it is being started its end is the starter's to report.
        if (this.#wanted && this.#starting === undefined) this.spec.onAccident?.(exit);
      });
    });
  }

  async #how(): Promise<string> {
    // An adopted process's end is not told to us.
    const nothing = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 200));
    const exit = await Promise.race([this.#exit, nothing]);
    if (exit === undefined || (exit.code === null && exit.signal === null)) return 'how is not known';
    return exit.signal === null ? `exit code ${exit.code}` : `by ${exit.signal}`;
  }
}

/** nice(1) becomes the command, which so has its number from its first thread on. */
function commandOf({ command, args, nice = 0 }: ChildSpec): [string, string[]] {
  return nice === 0 ? [command, args] : ['nice', ['-n', String(nice), command, ...args]];
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}
