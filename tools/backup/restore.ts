import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { addressesOf } from '#lib/boot/nats.ts';
import { markRestored } from '#lib/boot/streams.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { ROOT } from '#tools/servers/node.ts';
import type { Say } from './backup.ts';
import { cutOff } from './cut.ts';
import { BackupError, type Manifest } from './manifest.ts';
import { loadRedis } from './redis-copy.ts';
import { loadStream } from './snapshot.ts';

export interface Target {
  readonly natsUrl: string;
  readonly redisUrl: string;
  /** DATA_DIR of analytics, which must not run; undefined: its tables are left to the log, or to the server's own RESTORE. */
  readonly analyticsDir: string | undefined;
  /** Copies of each stream; as they were when undefined. */
  readonly replicas: number | undefined;
}

/** Puts a backup into stores that are empty. No service may run: start them afterwards. */
export async function restore(folder: string, manifest: Manifest, target: Target, say: Say): Promise<void> {
  const nats = await connect({ ...addressesOf(target.natsUrl), name: 'restore', timeout: 5_000 });
  try {
    const manager = await jetstreamManager(nats);
    await refuseUnlessEmpty(manager, target.redisUrl);
    const keys = await loadRedis(target.redisUrl, join(folder, manifest.redis.file));
    say(`Redis: ${keys} keys`);
    // LOG last: as long as it is not there no service starts with half of the rest.
    for (const { file, description } of manifest.streams.toReversed()) {
      const { config, state } = description;
      const replicas = target.replicas === undefined ? {} : { num_replicas: target.replicas };
      const marked = config.name === STREAMS.log.name ? markRestored(config.metadata, Date.now()) : config.metadata;
      const metadata = marked === undefined ? {} : { metadata: marked };
      await loadStream(nats, join(folder, file), { config: { ...config, ...replicas, ...metadata }, state });
      const now = await manager.streams.info(config.name);
      if (now.state.last_seq < state.last_seq)
        throw new BackupError(
          `${config.name} ends at ${now.state.last_seq} after the restore, not at ${state.last_seq}.`,
        );
      const after = { [STREAMS.log.name]: manifest.cut?.log, [STREAMS.ingest.name]: manifest.cut?.ingest }[config.name];
      const left = after === undefined ? 0 : await cutOff(manager, config.name, after);
      const beyond = left === 0 ? '' : `, without ${left} of after the backup`;
      say(`${config.name}: ${now.state.messages - left} messages up to ${after ?? now.state.last_seq}${beyond}`);
    }
    const { created } = await manager.streams.info(STREAMS.log.name);
    if (manifest.tables === undefined) return;
    if (target.analyticsDir === undefined) say(`For analytics, before it starts: node load.js DIR ${created}`);
    else await loadTables(folder, target.analyticsDir, created);
  } finally {
    await nats.close();
  }
}

async function refuseUnlessEmpty(manager: JetStreamManager, redisUrl: string): Promise<void> {
  const names: string[] = [];
  for await (const { config } of manager.streams.list()) names.push(config.name);
  if (names.length > 0)
    throw new BackupError(
      `NATS is not empty, it has ${names.slice(0, 5).join(', ')}: restore into a cluster of its own.`,
    );
  const redis = new Redis(redisUrl);
  try {
    const keys = await redis.dbsize();
    if (keys > 0) throw new BackupError(`Redis is not empty, it has ${keys} keys: restore into one of its own.`);
  } finally {
    redis.disconnect();
  }
}

/** By analytics' own code: nobody else opens its folder. */
async function loadTables(folder: string, dataDir: string, created: string): Promise<void> {
  const script = join(ROOT, 'services/analytics/src/load-cli.ts');
  if (!existsSync(script))
    throw new BackupError(`For analytics, before it starts, in its image: node load.js DIR ${created}`);
  const child = spawn(process.execPath, [script, folder, created], {
    env: { ...process.env, DATA_DIR: dataDir, CLICKHOUSE_URL: '' },
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new BackupError('ClickHouse could not be filled.');
}
