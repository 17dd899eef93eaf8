import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError, MANIFEST } from './manifest.ts';

/** Backups beside one another in a folder, each named by its moment (UTC): 2026-11-26T021500Z. Whatever has another name is left alone. */
const NAME = /^(\d{4}-\d\d-\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
/** A backup without its last file is still being made, or broke off. After this it broke off. */
const MAKING_MS = 24 * 60 * 60_000;

export interface Taken {
  readonly name: string;
  readonly whole: boolean;
}

export const nameAt = (now: number): string => `${new Date(now).toISOString().slice(0, 19).replaceAll(':', '')}Z`;

function momentOf(name: string): number {
  const [, day, hours, minutes, seconds] = NAME.exec(name) ?? [];
  return Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
}

/** Which may go: whole ones before the newest `keep`, and those that broke off. */
export function superseded(taken: readonly Taken[], keep: number, now: number): string[] {
  const whole = taken.filter((each) => each.whole).map(({ name }) => name);
  const broken = taken.filter((each) => !each.whole && now - momentOf(each.name) > MAKING_MS).map(({ name }) => name);
  return [...whole.sort().slice(0, Math.max(0, whole.length - keep)), ...broken.sort()];
}

function takenIn(dir: string): Taken[] {
  if (!existsSync(dir)) return [];
  const names = readdirSync(dir).filter((name) => NAME.test(name));
  return names.map((name) => ({ name, whole: existsSync(join(dir, name, MANIFEST)) }));
}

/** @throws BackupError when there is none */
export function newestIn(dir: string): string {
  const [newest] = takenIn(dir)
    .filter(({ whole }) => whole)
    .map(({ name }) => name)
    .sort()
    .reverse();
  if (newest === undefined) throw new BackupError(`${dir} has no backup that is whole.`);
  return join(dir, newest);
}

/** Deletes what is superseded. @returns the names */
export function prune(dir: string, keep: number, now: number): string[] {
  const gone = superseded(takenIn(dir), keep, now);
  for (const name of gone) rmSync(join(dir, name), { recursive: true, force: true });
  return gone;
}
