import { execFile } from 'node:child_process';
import { accessSync, constants, copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Says what is going on, a line at a time. */
export type Progress = (line: string) => void;

export const toStderr: Progress = (line) => void process.stderr.write(`${line}\n`);

const exec = promisify(execFile);

/** Where the servers we install are kept, for every checkout of this user. */
export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recur', 'bin');
}

export function onPath(program: string): string | undefined {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    if (dir !== '' && isExecutable(join(dir, program))) return join(dir, program);
  }
  return undefined;
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
}

/** Runs a program to its end; an error carries what it wrote. */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { cwd, env = process.env, timeoutMs = 10 * 60_000 } = options;
  try {
    const { stdout } = await exec(command, args, { cwd, env, timeout: timeoutMs, maxBuffer: 64 << 20 });
    return stdout;
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const last = stderr.trim().split('\n').slice(-8).join('\n');
    throw new Error(`${command} ${args[0] ?? ''} failed: ${last || message}`);
  }
}

/** The version a server says it has, as numbers; undefined when it does not run here. */
export async function versionOf(binary: string, pattern: RegExp): Promise<number[] | undefined> {
  try {
    const found = pattern.exec(await run(binary, ['--version'], { timeoutMs: 10_000 }));
    return found === null ? undefined : found.slice(1).map(Number);
  } catch {
    return undefined;
  }
}

export function atLeast(version: readonly number[], wanted: readonly number[]): boolean {
  for (let i = 0; i < wanted.length; i++) {
    const difference = (version[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Puts a program into the cache in one step, so that nobody ever starts half of it. */
export function keep(file: string, name: string): string {
  mkdirSync(cacheDir(), { recursive: true });
  const target = join(cacheDir(), name);
  const part = `${target}.${process.pid}.part`;
  copyFileSync(file, part);
  renameSync(part, target);
  return target;
}
