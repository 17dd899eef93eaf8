import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { addressesOf } from '#lib/boot/nats.ts';
import { outlook, RepartitionError, type Repartitioned, repartition } from '#lib/repartition/repartition.ts';
import { WIRING } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';

const LOOK_MS = 200;
/** How long what is in the log may take to be worked off once nothing is added. */
const PATIENCE_MS = 600_000;

export interface Stores {
  readonly natsUrl: string;
  readonly redisUrl: string;
}

export async function withStores<T>(
  { natsUrl, redisUrl }: Stores,
  use: (parts: Parameters<typeof outlook>[0] & Pick<Parameters<typeof repartition>[0], 'nats'>) => Promise<T>,
  to: number,
): Promise<T> {
  const nats = await connect({ ...addressesOf(natsUrl), name: 'repartition', timeout: 5_000 });
  const redis = new Redis(redisUrl, { commandTimeout: 60_000 });
  try {
    return await use({ nats, redis, to });
  } finally {
    redis.disconnect();
    await nats.close();
  }
}

/**
 * Changes the number of partitions of a cluster of processes that runs: ends identity, lets the others work off what there is, ends
 * them, moves, and starts all again. Ingest takes events all the time; they wait in INGEST meanwhile.
 * @returns also how long identity stood, ms
 */
export async function repartitionCluster(
  cluster: Cluster,
  to: number,
  say: (text: string) => void,
): Promise<Repartitioned & { stoodMs: number }> {
  const { natsUrl, redisUrl } = cluster.endpoints;
  return withStores(
    { natsUrl, redisUrl },
    async (parts) => {
      await outlook(parts);
      const started = performance.now();
      let done: Repartitioned;
      try {
        await stop(cluster, ['identity']);
        await workedOff(parts, say);
        await stop(cluster, Object.keys(WIRING));
        done = await repartition({ ...parts, progress: say });
      } catch (error) {
        // Nothing was changed: go on as before. What was begun must be finished before anybody works.
        if (error instanceof RepartitionError) await cluster.start();
        throw error;
      }
      cluster.setPartitions(to);
      await cluster.start();
      return { ...done, stoodMs: performance.now() - started };
    },
    to,
  );
}

async function stop(cluster: Cluster, roles: readonly string[]): Promise<void> {
  const names = cluster.members.filter(({ role }) => roles.includes(role)).map(({ name }) => name);
  await Promise.all(names.map((name) => cluster.process(name).stop()));
}

async function workedOff(parts: Parameters<typeof outlook>[0], say: (text: string) => void): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let told = performance.now(); ; await sleep(LOOK_MS)) {
    const { open } = await outlook(parts);
    if (open.length === 0) return;
    if (performance.now() > until) throw new RepartitionError(`not worked off in time: ${open.slice(0, 5).join('; ')}`);
    if (performance.now() - told < 5_000) continue;
    told = performance.now();
    say(`waiting: ${open.slice(0, 3).join('; ')}${open.length > 3 ? ` and ${open.length - 3} more` : ''}`);
  }
}
