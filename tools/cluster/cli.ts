import { relative } from 'node:path';
import { type Arguments, HELP, parseArguments, UsageError } from './arguments.ts';
import { recordedIn } from './cluster.ts';
import { showLogs } from './logs.ts';
import { openCluster, startCluster } from './start.ts';
import { statusOf, tableOf } from './status.ts';
import { variablesOf } from './variables.ts';

const out = (text: string) => void process.stdout.write(`${text}\n`);

async function up({ dir, quiet, up: options, given }: Arguments): Promise<number> {
  const say = quiet ? () => {} : out;
  const runs = recordedIn(dir);
  if (runs !== undefined && runs.alive.length > 0 && given.length > 0) {
    const names = given.map((name) => `--${name}`).join(', ');
    throw new UsageError(`A cluster runs in ${shown(dir)} already; ${names} would need 'npm run down' first.`);
  }
  const complete = runs !== undefined && runs.alive.length === runs.file.members.length;
  if (complete && options.replicas !== undefined)
    say(`It runs already, in ${shown(dir)}. Replicas are brought to what is asked for.`);
  else if (!complete) say(`Starting in ${shown(dir)} …`);
  const cluster = await startCluster({ ...options, dir, detached: true, progress: say });
  if (complete && options.replicas === undefined) say(`It runs already, in ${shown(dir)}.`);
  say(`\n${tableOf(await statusOf(cluster))}`);
  if (cluster.members.some(({ role }) => role === 'ingest')) {
    const { ingestHttp, writeKey } = cluster.endpoints;
    say(`\nSend an event:\n  curl -u ${writeKey}: ${ingestHttp}/v1/track -H 'Content-Type: application/json' \\
    -d '{"userId": "anna", "event": "Product Viewed", "properties": {"product_id": "tea-1"}}'`);
  }
  say(`\nnpm run status · npm run logs · npm run down`);
  return 0;
}

async function down({ dir, quiet }: Arguments): Promise<number> {
  const say = quiet ? () => {} : out;
  const recorded = recordedIn(dir);
  if (recorded === undefined) {
    say(`Nothing runs in ${shown(dir)}.`);
    return 0;
  }
  if (!recorded.file.run.detached && recorded.ownerAlive) {
    throw new UsageError(`This cluster belongs to process ${recorded.file.owner.pid}, which still runs: end that one.`);
  }
  await openCluster(dir, say)?.stop();
  return 0;
}

/** 0: all is ready. 1: something is not. 3: nothing runs. */
async function status({ dir, json, quiet }: Arguments): Promise<number> {
  const cluster = openCluster(dir);
  if (cluster === undefined) {
    if (json) out(JSON.stringify({ dir, running: false, processes: [] }));
    else if (!quiet) out(`Nothing runs in ${shown(dir)}. Start it with: npm run up`);
    return 3;
  }
  const processes = await statusOf(cluster);
  if (json) out(JSON.stringify({ dir, running: true, settings: cluster.settings, processes }, undefined, 2));
  else if (!quiet) {
    const { partitions, clock, timeZone } = cluster.settings;
    out(tableOf(processes));
    out(`\n${partitions} partitions, ${clock} clock, ${timeZone}; in ${shown(dir)}`);
    if (processes.some(({ state }) => state === 'ended'))
      out("What has ended is started again by 'npm run up'; why it ended, 'npm run logs' may tell.");
  }
  return processes.every(({ state }) => state === 'ready') ? 0 : 1;
}

async function logs({ dir, names, lines, follow }: Arguments): Promise<number> {
  await showLogs(dir, { names, lines, follow, write: (text) => void process.stdout.write(text) });
  return 0;
}

/** Addresses, the write key and the token of the folder's cluster, as assignments a shell understands. */
async function vars({ dir }: Arguments): Promise<number> {
  const cluster = openCluster(dir);
  if (cluster === undefined) throw new UsageError(`Nothing runs in ${shown(dir)}. Start it with: npm run up`);
  out(variablesOf(cluster));
  return 0;
}

async function help(): Promise<number> {
  out(HELP);
  return 0;
}

function shown(dir: string): string {
  const near = relative(process.cwd(), dir);
  return near === '' ? '.' : near.startsWith('..') ? dir : near;
}

/** `logs | head` closes the pipe early, which is no error of ours. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  const args = parseArguments(process.argv.slice(2), process.env);
  const commands = { up, down, status, logs, vars, help };
  process.exitCode = await commands[args.command](args);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
