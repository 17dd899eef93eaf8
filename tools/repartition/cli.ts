// npm run repartition -- --to N: gives a cluster another number of partitions.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { InUseError } from '#lib/repartition/partitions.ts';
import {
  type Outlook,
  outlook,
  RepartitionError,
  type Repartitioned,
  repartition,
} from '#lib/repartition/repartition.ts';
import { openCluster } from '#tools/cluster/start.ts';
import { called, nothingRuns } from '#tools/operations/called.ts';
import { ROOT } from '#tools/servers/node.ts';
import { repartitionCluster, withStores } from './cluster.ts';

const HELP = `${called('repartition')} --to N [options]

Gives a cluster another number of partitions: states and timers go to where their customers' ids belong, new records are read from the
present end of the log on. Nothing is lost, nothing is done twice; events are taken all the time and wait meanwhile.

  --to N       partitions there are to be, 1 to 256
  --dry-run    only say how many customers would move and what is still to be worked off; everything may run
  --data DIR   a local cluster (default .data/local, or RECUR_DATA): services are ended and started again by this
  --json       the result as a line of JSON
  --help

Another cluster by NATS_URL and REDIS_URL. There: end identity (0 replicas), wait until --dry-run says that nothing is open, end profile,
segmentation, journey and messaging, run this, set PARTITIONS=N, start them. What is broken off goes on when it is run again with
the same N; until then no service starts.

Exit code 0: done. 1: refused or failed, with the reason. 2: bad options.`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const flag = { type: 'boolean', default: false } as const;
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { to: text, data: text, 'dry-run': flag, json: flag, help: flag } });
  if (values.help) {
    say(HELP);
    return 0;
  }
  if (values.to === undefined || !/^\d{1,3}$/.test(values.to))
    throw Object.assign(new Error(`--to ${values.to ?? ''}: how many partitions, 1 to 256?`), {
      code: 'ERR_PARSE_ARGS',
    });
  const to = Number(values.to);
  const { NATS_URL: natsUrl, REDIS_URL: redisUrl } = process.env;
  const elsewhere = values.data === undefined && natsUrl && redisUrl ? { natsUrl, redisUrl } : undefined;
  const cluster = elsewhere === undefined ? opened(values.data) : undefined;
  const stores = elsewhere ?? (cluster as NonNullable<typeof cluster>).endpoints;
  if (values['dry-run']) {
    const found = await withStores(stores, outlook, to);
    say(values.json ? JSON.stringify(found) : outlookText(found));
    return 0;
  }
  const done =
    cluster === undefined
      ? await withStores(stores, (parts) => repartition({ ...parts, progress }), to)
      : await repartitionCluster(cluster, to, progress);
  say(values.json ? JSON.stringify(done) : doneText(done, cluster === undefined));
  return 0;
}

function opened(data: string | undefined) {
  const dir = resolve(data ?? (process.env.RECUR_DATA || join(ROOT, '.data', 'local')));
  const cluster = openCluster(dir);
  if (cluster === undefined) throw new RepartitionError(nothingRuns(dir));
  return cluster;
}

const countsOf = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([stage, n]) => `${stage} ${n}`)
    .join(', ');

function outlookText({ from, to, open, moved }: Outlook): string {
  const rest = open.length === 0 ? 'Nothing is open.' : `Still to be worked off:\n  ${open.join('\n  ')}`;
  return `From ${from} to ${to} partitions. Customers that would move: ${countsOf(moved)}.\n${rest}`;
}

function doneText({ from, to, seq, sums, moved }: Repartitioned, byHand: boolean): string {
  const all = countsOf(Object.fromEntries(Object.entries(sums).map(([stage, { states }]) => [stage, states])));
  const next = byHand ? `\nSet PARTITIONS=${to} for every service, and start them.` : '';
  return `From ${from} to ${to} partitions at ${seq} of the log. States, all there as they were: ${all}. Moved: ${countsOf(moved)}.${next}`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const { message, code } = error as Error & { code?: string };
    const usage = code?.startsWith('ERR_PARSE_ARGS') === true;
    const known = usage || error instanceof RepartitionError || error instanceof InUseError;
    progress(known ? `${message}${usage ? ' Try --help.' : ''}` : String((error as Error).stack ?? error));
    process.exit(usage ? 2 : 1);
  },
);
