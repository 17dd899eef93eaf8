import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { secretsIn } from '#tools/cluster/secrets.ts';
import { openCluster, startCluster } from '#tools/cluster/start.ts';
import { apiToken, called, nothingRuns } from '#tools/operations/called.ts';
import { ROOT } from '#tools/servers/node.ts';
import { backUp, type Say, type Source } from './backup.ts';
import { BackupError, checkedManifest, type Manifest } from './manifest.ts';
import { restore } from './restore.ts';
import { nameAt, newestIn, prune } from './series.ts';

const HELP = `${called('backup')} DIR [options]     copies all stores of a running cluster into an empty folder
${called('restore')} DIR [options]    puts them into a new, empty cluster; no service may run there
${called('backup')} --check DIR       every file is what was written

Streams and definitions (NATS), state (Redis) and history (the ClickHouse inside analytics), consistent with one another, while
events flow; with checksums. Mails in a mailbox are not copied. A ClickHouse server is backed up by its own BACKUP, before this.

  --data DIR       local cluster: whose, or for restore the new folder (default .data/local, or RECUR_DATA)
  --with-secrets   copy keys and tokens as well; without it they are only named. Whoever has them can read what is in the backup
  --secrets DIR    restore: where they are, when they are not in the backup
  --replicas N     restore: copies of each stream, 1, 3 or 5 (default: as they were)
  --in DIR         instead of a folder: backup into one of its own in DIR, named by the moment; --check, restore: the newest in DIR
  --keep N         backup --in: then delete whole ones but the newest N, and those that broke off a day ago or more
  --help

Another cluster by environment: NATS_URL, REDIS_URL, and for its history SQL_URL with API_TOKEN or API_TOKENS_FILE (backup; not with
CLICKHOUSE_URL); on restore DATA_DIR, where analytics will have its folder, or 'node load.js DIR' beside it.

Exit code 0: done. 1: refused or failed, with the reason. 2: bad options.`;

class UsageError extends Error {}

const say: Say = (text) => console.log(text);

function readOptions() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...{ data: text, secrets: text, replicas: text, in: text, keep: text },
      ...{ 'with-secrets': flag, check: flag, help: flag },
    },
  });
  const [command = '', dir, ...rest] = positionals;
  const { replicas, keep } = values;
  if (keep !== undefined && (!/^[1-9]\d{0,3}$/.test(keep) || values.in === undefined))
    throw new UsageError(`--keep ${keep}: how many backups in --in DIR, 1 to 9999?`);
  if (replicas !== undefined && !['1', '3', '5'].includes(replicas))
    throw new UsageError(`--replicas ${replicas}: must be 1, 3 or 5.`);
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  return { ...values, command, dir, rest, replicas: number(replicas), keep: number(keep) };
}

type Options = ReturnType<typeof readOptions>;

async function main(): Promise<number> {
  const options = readOptions();
  const { command, help, check, keep } = options;
  if (help) {
    console.log(HELP);
    return 0;
  }
  const started = Date.now();
  const folder = folderOf(options, started);
  if (command === 'backup' && !check) await backUp(folder, sourceOf(options), options['with-secrets'], say);
  const manifest = await checkedManifest(folder);
  if (command === 'restore') await restoreTo(folder, manifest, options);
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  const size = `${(bytes / 2 ** 20).toFixed(1)} MB in ${Object.keys(manifest.files).length} files, of ${manifest.takenAt}`;
  say(`${folder}: ${size}; every checksum right. ${((Date.now() - started) / 1_000).toFixed(1)} s`);
  if (options.in !== undefined && keep !== undefined && command === 'backup' && !check)
    for (const name of prune(resolve(options.in), keep, started)) say(`${name}: deleted`);
  return 0;
}

function folderOf({ command, dir, rest, check, in: series }: Options, now: number): string {
  if (series === undefined && dir !== undefined && rest.length === 0) return resolve(dir);
  if (series === undefined || dir !== undefined)
    throw new UsageError(`${command} which folder? Give one, or --in DIR.`);
  return command === 'backup' && !check ? join(resolve(series), nameAt(now)) : newestIn(resolve(series));
}

/** The local cluster, or the one the environment names. */
function sourceOf(options: Options): Source {
  const { NATS_URL: natsUrl, REDIS_URL: redisUrl, SQL_URL: sqlUrl, CLICKHOUSE_URL: server } = process.env;
  if (options.data === undefined && natsUrl && redisUrl) {
    const sql = sqlUrl && !server ? { url: sqlUrl, user: 'recur', token: apiToken(process.env) } : undefined;
    return { natsUrl, redisUrl, sql, timeZone: process.env.SHOP_TIME_ZONE ?? '', secretsDir: undefined };
  }
  const dir = dataOf(options);
  const cluster = openCluster(dir);
  if (cluster === undefined) throw new UsageError(nothingRuns(dir));
  const { endpoints, settings } = cluster;
  return {
    natsUrl: endpoints.natsUrl,
    redisUrl: endpoints.redisUrl,
    sql: { url: endpoints.clickhouseHttp, user: 'recur', token: endpoints.apiToken },
    timeZone: settings.timeZone,
    secretsDir: join(dir, 'secrets'),
  };
}

async function restoreTo(folder: string, manifest: Manifest, options: Options): Promise<void> {
  const { NATS_URL: natsUrl, REDIS_URL: redisUrl, DATA_DIR: analyticsDir } = process.env;
  const { replicas } = options;
  if (options.data === undefined && natsUrl && redisUrl) {
    await restore(folder, manifest, { natsUrl, redisUrl, analyticsDir, replicas }, say);
    const settings = `PARTITIONS=${manifest.partitions}, CLOCK=${manifest.clock}`;
    return say(`Restored. Start the services with ${settings} and the keys the backup was made with.`);
  }
  const dir = dataOf(options);
  if (existsSync(dir) && readdirSync(dir).length > 0)
    throw new BackupError(`${dir} is not empty: a backup is restored into a folder of its own.`);
  const secrets = options.secrets ?? (manifest.secrets.copied ? join(folder, 'secrets') : undefined);
  if (secrets === undefined)
    throw new UsageError('The backup has no secrets: say --secrets DIR. With other keys nobody would be recognised.');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  cpSync(resolve(secrets), join(dir, 'secrets'), { recursive: true });
  secretsIn(dir);
  const { partitions, clock, timeZone } = manifest;
  const cluster = await startCluster({
    ...{ dir, partitions, clock, only: ['nats', 'redis'], ports: 'private' },
    ...(timeZone === '' ? {} : { timeZone }),
  });
  try {
    const { natsUrl, redisUrl } = cluster.endpoints;
    await restore(folder, manifest, { natsUrl, redisUrl, analyticsDir: join(dir, 'analytics'), replicas }, say);
  } finally {
    await cluster.stop();
  }
  say(`Restored. Start it: npm run up -- --data ${dir}`);
}

const dataOf = ({ data }: Options): string => resolve(data ?? (process.env.RECUR_DATA || join(ROOT, '.data', 'local')));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
    const known = usage || error instanceof BackupError;
    console.error(known ? `${(error as Error).message}${usage ? ' Try --help.' : ''}` : error);
    process.exit(usage ? 2 : 1);
  },
);
