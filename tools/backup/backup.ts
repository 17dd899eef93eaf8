import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { addressesOf } from '#lib/boot/nats.ts';
import { clusterOf } from '#lib/boot/streams.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Endpoint } from '#tools/sql/endpoint.ts';
import { type SavedTable, saveTables } from './clickhouse-copy.ts';
import { acknowledged, findCut } from './cut.ts';
import { BackupError, fingerprint, MANIFEST, type Manifest, newManifest } from './manifest.ts';
import { saveRedis } from './redis-copy.ts';
import { saveStream } from './snapshot.ts';

export interface Source {
  readonly natsUrl: string;
  readonly redisUrl: string;
  /** ClickHouse inside analytics; undefined: a server, which backs itself up. */
  readonly sql: Endpoint | undefined;
  readonly timeZone: string;
  /** Where the secret files are, when they are to be had. */
  readonly secretsDir: string | undefined;
}

const UNCUT =
  'identity does not get to the end of INGEST: everything is copied; when the cluster goes on after this, what it does with events ' +
  'that are not in LOG yet is done again after a restore';

export type Say = (text: string) => void;

/**
 * Copies all stores while the cluster goes on. What follows from the log is copied before the log, and the log before what it
 * follows from: so each store is, at most, a little behind the next, and catches up by itself as after a crash. What was acknowledged
 * before it begins is in it.
 */
export async function backUp(folder: string, source: Source, withSecrets: boolean, say: Say): Promise<Manifest> {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new BackupError(`${folder} is not empty: a backup gets a folder of its own.`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const nats = await connect({ ...addressesOf(source.natsUrl), name: 'backup', timeout: 5_000 });
  try {
    const manager = await jetstreamManager(nats);
    const { partitions, clock } = await clusterOf(manager);
    const from = await acknowledged(manager);
    const tables = await clickhouse(folder, source, say);
    const file = 'redis.rdb';
    const { keys } = await saveRedis(source.redisUrl, join(folder, file));
    say(`Redis: ${keys} keys`);
    const cut = await findCut(manager, source.redisUrl, { from, partitions });
    say(cut === undefined ? UNCUT : `INGEST up to ${cut.ingest} is in LOG up to ${cut.log}: the backup ends there`);
    const streams: Manifest['streams'][number][] = [];
    for (const name of await streamsInOrder(manager)) {
      const file = `${name}.stream`;
      const description = await saveStream(nats, name, join(folder, file));
      streams.push({ file, description });
      say(`${name}: ${description.state.messages} messages up to ${description.state.last_seq}`);
    }
    const secrets = copySecrets(folder, source.secretsDir, withSecrets);
    const files: Record<string, { bytes: number; sha256: string }> = {};
    for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!path.isFile()) continue;
      const whole = join(path.parentPath, path.name);
      files[whole.slice(folder.length + 1)] = await fingerprint(whole);
    }
    const { timeZone } = source;
    const takenAt = new Date().toISOString();
    const manifest = newManifest({
      ...{ takenAt, partitions, clock, timeZone, streams, cut, redis: { file, keys }, tables, secrets, files },
    });
    writeFileSync(join(folder, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: 0o600 });
    return manifest;
  } finally {
    await nats.close();
  }
}

async function clickhouse(folder: string, { sql }: Source, say: Say): Promise<SavedTable[] | undefined> {
  if (sql === undefined) {
    say('ClickHouse: a server of its own, not copied; its own BACKUP, before this one, goes with it');
    return undefined;
  }
  mkdirSync(join(folder, 'clickhouse'));
  return saveTables(sql, join(folder, 'clickhouse'), (table, rows) => say(`ClickHouse ${table}: ${rows} rows`));
}

/** LOG, then what it follows from (INGEST), then the rest: definitions in force are known to the log already. */
async function streamsInOrder(manager: Awaited<ReturnType<typeof jetstreamManager>>): Promise<string[]> {
  const first: string[] = [STREAMS.log.name, STREAMS.ingest.name];
  const ours = [...Object.values(STREAMS).map(({ name }) => name as string)];
  const others: string[] = [];
  for await (const { config } of manager.streams.list())
    if (!first.includes(config.name) && (ours.includes(config.name) || config.name.startsWith('KV_')))
      others.push(config.name);
  return [...first, ...others.sort()];
}

function copySecrets(folder: string, from: string | undefined, copied: boolean): Manifest['secrets'] {
  if (copied && from === undefined)
    throw new BackupError(
      '--with-secrets: only those of a local cluster can be copied; keep the others where they are.',
    );
  const names = from === undefined ? ['recur-keys'] : readdirSync(from).sort();
  if (copied && from !== undefined)
    cpSync(from, join(folder, 'secrets'), { recursive: true, preserveTimestamps: true });
  return { copied, names };
}
