// The one program of the image of operations: what is done to a cluster from inside it, with the arguments of the commands of a
// checkout. Their names are those of `npm run`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WIRING } from '#lib/topology/topology.ts';

const STAGES = ['identity', ...Object.keys(WIRING)];

interface Command {
  readonly what: string;
  /** Arguments, as the command itself reads them. */
  readonly args?: (given: readonly string[]) => readonly string[];
  /** Imported, it runs. */
  readonly run: () => Promise<unknown>;
}

const backup = () => import('#tools/backup/cli.ts');

const COMMANDS: Readonly<Record<string, Command>> = {
  backup: { what: 'copies all stores of a running cluster', args: (given) => ['backup', ...given], run: backup },
  check: {
    what: 'every file of a backup is what was written',
    args: (given) => ['backup', '--check', ...given],
    run: backup,
  },
  restore: { what: 'puts a backup into a new, empty cluster', args: (given) => ['restore', ...given], run: backup },
  'dead-letters': {
    what: 'lists, replays, drops records a stage could not process',
    run: () => import('#tools/dead-letters/cli.ts'),
  },
  rebuild: { what: `compares states with the log: ${STAGES.join(', ')}`, args: ([, ...rest]) => rest, run: rebuild },
  repartition: {
    what: 'gives a cluster another number of partitions',
    run: () => import('#tools/repartition/cli.ts'),
  },
  library: {
    what: 'creates the segments, templates, journeys … of a folder',
    run: () => import('#tools/library/cli.ts'),
  },
};

const HELP = `node main.js <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { what }]) => `  ${name.padEnd(14)}${what}`)
  .join('\n')}

<command> --help says the rest (rebuild <stage> --help). The cluster by environment: NATS_URL, REDIS_URL, SHOP_TIME_ZONE; SQL_URL
with API_TOKEN or API_TOKENS_FILE for history.
`;

/** Its code is the service's own, bundled beside this file. */
function rebuild(): Promise<unknown> {
  const [stage = ''] = given;
  if (STAGES.includes(stage)) return import(pathToFileURL(join(import.meta.dirname, `rebuild-${stage}.js`)).href);
  process.stderr.write(`There is no state of ${stage || 'nothing'} to rebuild: name one of ${STAGES.join(', ')}.\n`);
  process.exit(stage === '--help' ? 0 : 2);
}

// Process 1 of a container ends on a signal only where it says so.
for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)
  process.once(signal, () => process.exit(code));

const [node = '', file = '', name = '--help', ...given] = process.argv;
const command = COMMANDS[name];
if (command === undefined) {
  const asked = ['--help', '-h', 'help'].includes(name);
  process.stdout.write(asked ? HELP : `There is no command ${name}. Try --help.\n`);
  process.exitCode = asked ? 0 : 2;
} else {
  process.env.RECUR_OPERATIONS = '1';
  process.argv = [node, file, ...(command.args?.(given) ?? given)];
  await command.run();
}
