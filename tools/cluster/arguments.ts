import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '#tools/servers/node.ts';
import { isRole, isService, ROLES, type Role, SERVICES, type ServiceName } from './roles.ts';
import type { ClusterOptions } from './start.ts';

export const HELP = `The local cluster: NATS, Redis, a mailbox and the services of Recur, each a process of its own.

  npm run up     [-- options]          start it, or what of it has died
  npm run down                         stop it
  npm run status [-- --json]           what runs, where, and how it is
  npm run logs   [-- [process …] -f]   what it says
  npm run vars                         where it is and its keys, for a shell: eval "$(npm run --silent vars)"

Options of all
  --data DIR          its folder (default .data/local, or RECUR_DATA)
  -q, --quiet         only errors
  -h, --help          this text

Options of up
  --clock live|event  time is the log's (default), or that of the events: for replaying history
  --partitions N      partitions of customers (default 4); stays as it is for the life of the folder
  --time-zone ZONE    the shop's time zone, such as Europe/London (default UTC)
  --replicas A=N,…    several processes of a service: profile=2,journey=2; also of a cluster that runs: they share its partitions
  --only A,B,…        nothing but these: ${ROLES.join(', ')}
  --without A,B,…     all but these
  --log-level LEVEL   trace, debug, info (default), warn, error
  --env NAME=VALUE    one more variable for every service (may be given several times)

Options of logs
  -n, --lines N       how many of the last lines (default 20)
  -f, --follow        and go on as they come

Ports are those in docs (ingest 8080, SQL 8123, mailbox 8025 …), or the next free one where one is taken:
'up' and 'status' show which. Keys and tokens are in the folder's 'secrets'.
`;

/** Something typed wrong: shown without a stack, exit code 2. */
export class UsageError extends Error {}

export interface Arguments {
  command: 'up' | 'down' | 'status' | 'logs' | 'vars' | 'help';
  dir: string;
  quiet: boolean;
  json: boolean;
  names: string[];
  lines: number;
  follow: boolean;
  up: ClusterOptions;
  /** Options of `up` that were given, by name, and cannot change a cluster that runs. */
  given: string[];
}

const OPTIONS = {
  data: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  clock: { type: 'string' },
  partitions: { type: 'string' },
  'time-zone': { type: 'string' },
  replicas: { type: 'string' },
  only: { type: 'string' },
  without: { type: 'string' },
  'log-level': { type: 'string' },
  env: { type: 'string', multiple: true },
  lines: { type: 'string', short: 'n' },
  follow: { type: 'boolean', short: 'f' },
} as const;

const COMMANDS = ['up', 'down', 'status', 'logs', 'vars'] as const;
const SHAPING = ['only', 'without', 'log-level', 'env', 'time-zone'] as const;

export function parseArguments(args: string[], env: NodeJS.ProcessEnv): Arguments {
  const { values, positionals } = parse(args);
  const [command = 'help', ...names] = positionals;
  const known = COMMANDS.find((each) => each === command);
  if (known === undefined && command !== 'help') throw new UsageError(`There is no command ${command}. Try --help.`);
  if (known !== 'logs' && names.length > 0) throw new UsageError(`What is ${names.join(' ')}? Try --help.`);
  return {
    command: values.help || known === undefined ? 'help' : known,
    dir: resolve(values.data ?? (env.RECUR_DATA || join(ROOT, '.data', 'local'))),
    quiet: values.quiet ?? false,
    json: values.json ?? false,
    names,
    lines: values.lines === undefined ? 20 : whole('lines', values.lines),
    follow: values.follow ?? false,
    given: SHAPING.filter((name) => values[name] !== undefined),
    up: {
      clock: values.clock as ClusterOptions['clock'],
      partitions: values.partitions === undefined ? undefined : whole('partitions', values.partitions),
      timeZone: values['time-zone'],
      replicas: values.replicas === undefined ? undefined : replicasIn(values.replicas),
      only: values.only === undefined ? undefined : rolesIn('only', values.only),
      without: values.without === undefined ? undefined : rolesIn('without', values.without),
      logLevel: values['log-level'],
      env: values.env === undefined ? undefined : variablesIn(values.env),
    },
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}. Try --help.`);
  }
}

function whole(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${text}.`);
  return Number(text);
}

function replicasIn(text: string): Partial<Record<ServiceName, number>> {
  const replicas: Partial<Record<ServiceName, number>> = {};
  for (const part of text.split(',')) {
    const [service = '', count = ''] = part.trim().split('=');
    if (!isService(service)) throw new UsageError(`--replicas: ${service} is none of ${SERVICES.join(', ')}.`);
    replicas[service] = whole('replicas', count);
  }
  return replicas;
}

function rolesIn(option: string, text: string): Role[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    if (!isRole(name)) throw new UsageError(`--${option}: ${name} is none of ${ROLES.join(', ')}.`);
    return name;
  });
}

function variablesIn(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name = '', value = ''] = /^(\w+)=(.*)$/s.exec(pair) ?? [];
      if (name === '') throw new UsageError(`--env must be NAME=VALUE, not ${pair}.`);
      return [name, value];
    }),
  );
}
