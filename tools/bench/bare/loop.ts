import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { ROOT } from '#tools/servers/node.ts';
import type { Measured } from '../cpu.ts';
import { type BareProcess, startBare } from './child.ts';
import { BARE, makeBareStreams } from './streams.ts';

const POLL_MS = 50;

export interface BareLoop {
  readonly url: string;
  readonly processes: readonly Measured[];
  /** Resolves when all that was accepted has reached the end of the loop. */
  arrived(timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** The four processes, on the NATS and the Redis of a cluster that has taken some events: the rows inserted are theirs. */
export async function startBareLoop(
  cluster: Cluster,
  jsm: JetStreamManager,
  options: { bodyBytes: number; sink: boolean },
): Promise<BareLoop> {
  await makeBareStreams(jsm);
  const { natsUrl, redisUrl } = cluster.endpoints;
  const env = { NATS_URL: natsUrl, REDIS_URL: redisUrl };
  const here = (file: string) => join(import.meta.dirname, file);
  const [receiver, router, states, sink] = await Promise.all([
    startBare('bare-http', here('http-server.ts'), { ...env, BODY_BYTES: String(options.bodyBytes) }),
    startBare('bare-router', here('router.ts'), { ...env, PARTITIONS: String(cluster.settings.partitions) }),
    startBare('bare-states', here('states.ts'), env),
    options.sink
      ? startBare('bare-sink', join(ROOT, 'services/analytics/bench/bare-sink.ts'), {
          ...env,
          STREAM: BARE.log.name,
          DATA_DIR: join(cluster.dir, 'bare-sink'),
        })
      : undefined,
  ]);
  const all: BareProcess[] = [receiver, router, states, ...(sink === undefined ? [] : [sink])];
  const lastOf = async (stream: string) => (await jsm.streams.info(stream)).state.last_seq;
  return {
    url: `http://127.0.0.1:${receiver.ready.port}`,
    processes: all,
    stop: async () => void (await Promise.all(all.map((each) => each.stop()))),
    arrived: async (timeoutMs) => {
      const until = Date.now() + timeoutMs;
      const reach = async (one: BareProcess, seq: number) => {
        while ((await one.through()) < seq) {
          if (Date.now() > until) throw new Error(`${one.name} was not done within ${timeoutMs / 1000} s`);
          await sleep(POLL_MS);
        }
      };
      await reach(router, await lastOf(BARE.in.name));
      const end = await lastOf(BARE.log.name);
      await Promise.all([reach(states, end), sink && reach(sink, end)]);
    },
  };
}
