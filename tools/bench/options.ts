import { parseArgs } from 'node:util';
import { isRole, type Role } from '#tools/cluster/roles.ts';

export interface BenchOptions {
  /** Undefined: the bench's own default. */
  readonly events: number | undefined;
  readonly people: number;
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
  readonly partitions: number;
  readonly without: readonly Role[];
  /** False: no bare loop, no ratio. */
  readonly bare: boolean;
  /** Folder for CPU profiles of the services; undefined: none are taken. */
  readonly cpuProf: string | undefined;
  /** For the Node of every service. */
  readonly nodeOptions: string;
}

export interface Command {
  readonly name: string | undefined;
  readonly help: boolean;
  readonly options: BenchOptions;
}

/** @throws Error naming the option, its value and the rule */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      events: { type: 'string' },
      people: { type: 'string', default: '12000' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      partitions: { type: 'string', default: '4' },
      without: { type: 'string', default: '' },
      'no-bare': { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      'node-options': { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (positionals.length > 1) throw new Error(`one bench at a time, not ${positionals.join(' ')}`);
  const optional = (name: 'events' | 'rounds' | 'seconds', from: number, to: number) =>
    values[name] === undefined ? undefined : number(name, values[name], from, to);
  return {
    name: positionals[0],
    help: values.help,
    options: {
      events: optional('events', 1_000, 50_000_000),
      people: number('people', values.people, 100, 5_000_000),
      rounds: optional('rounds', 1, 20),
      seconds: optional('seconds', 1, 600),
      partitions: number('partitions', values.partitions, 1, 256),
      without: values.without.split(',').flatMap((name) => roleIn(name.trim())),
      bare: !values['no-bare'],
      cpuProf: values['cpu-prof'],
      nodeOptions: values['node-options'],
    },
  };
}

function number(name: string, text: string, from: number, to: number): number {
  const value = Number(text.replaceAll('_', ''));
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new Error(`--${name}: ${text} must be a whole number from ${from} to ${to}`);
}

function roleIn(name: string): Role[] {
  if (name === '') return [];
  if (!isRole(name)) throw new Error(`--without: there is no ${name}`);
  return [name];
}
