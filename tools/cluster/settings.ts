import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type ClockMode = 'live' | 'event';

/** What a data folder is made with, and keeps. */
export interface Settings {
  partitions: number;
  clock: ClockMode;
  timeZone: string;
}

const DEFAULTS: Settings = { partitions: 4, clock: 'live', timeZone: 'UTC' };

/**
 * The settings of a data folder. What is not asked for is as it was when the folder was made. Partitions and clock
 * cannot change: customers would be looked for in other partitions, and time in the log would mean something else.
 */
export function settingsFor(dataDir: string, asked: Partial<Settings>): Settings {
  const file = join(dataDir, 'settings.json');
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Settings) : undefined;
  const settings: Settings = {
    partitions: asked.partitions ?? kept?.partitions ?? DEFAULTS.partitions,
    clock: asked.clock ?? kept?.clock ?? DEFAULTS.clock,
    timeZone: asked.timeZone ?? kept?.timeZone ?? DEFAULTS.timeZone,
  };
  check(settings);
  if (kept !== undefined) {
    const refuse = (what: string, was: unknown, is: unknown) => {
      throw new Error(
        `${dataDir} was made with ${what} ${was} and cannot be opened with ${is}.\n` +
          `Leave --${what} out, or use another folder (--data).` +
          (what === 'partitions' ? ' npm run repartition changes it.' : ''),
      );
    };
    if (settings.partitions !== kept.partitions) refuse('partitions', kept.partitions, settings.partitions);
    if (settings.clock !== kept.clock) refuse('clock', kept.clock, settings.clock);
  }
  writeJson(file, settings);
  return settings;
}

/** After the stores of the folder's cluster were given another number of partitions. */
export function changePartitions(dataDir: string, partitions: number): void {
  const file = join(dataDir, 'settings.json');
  const kept = JSON.parse(readFileSync(file, 'utf8')) as Settings;
  check({ ...kept, partitions });
  writeJson(file, { ...kept, partitions });
}

function check({ partitions, clock, timeZone }: Settings): void {
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > 1024) {
    throw new Error(`partitions must be a whole number from 1 to 1024, not ${partitions}.`);
  }
  if (clock !== 'live' && clock !== 'event') throw new Error(`clock must be live or event, not ${clock}.`);
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw new Error(`${timeZone} is not a time zone; write it like Europe/London or Asia/Shanghai.`);
  }
}

/** Whole or not at all, for readers and after a crash. Readable by its owner only. */
export function writeJson(file: string, value: unknown): void {
  mkdirSync(join(file, '..'), { recursive: true });
  const part = `${file}.${process.pid}.part`;
  writeFileSync(part, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(part, file);
}
