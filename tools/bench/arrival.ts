import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { metricsOf, metricValues } from '#tools/library/progress.ts';

const STAGES = ['profile', 'segmentation', 'journey', 'messaging'] as const;
const POLL_MS = 50;

export type Moments = Record<string, number>;

/** Knows when everything that was sent is in every store. */
export class Arrival {
  readonly #cluster: Cluster;
  readonly #nats: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #redis: Redis;

  private constructor(cluster: Cluster, nats: NatsConnection, jsm: JetStreamManager) {
    this.#cluster = cluster;
    this.#nats = nats;
    this.#jsm = jsm;
    this.#redis = new Redis(cluster.endpoints.redisUrl);
  }

  static async open(cluster: Cluster): Promise<Arrival> {
    const nats = await connect({ servers: cluster.endpoints.natsUrl });
    return new Arrival(cluster, nats, await jetstreamManager(nats));
  }

  get jsm(): JetStreamManager {
    return this.#jsm;
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    await this.#nats.close();
  }

  /**
   * Called when the last request was accepted. Returns when each stage had everything, ms of performance.now(); a stage
   * counts only once those before it were done, as only then it is known where the log ends.
   */
  async everywhere(timeoutMs: number): Promise<Moments> {
    const until = Date.now() + timeoutMs;
    const moments: Moments = {};
    const waitFor = async (what: string, check: () => Promise<boolean>) => {
      while (!(await check())) {
        if (Date.now() > until) throw new Error(`${what} did not have everything within ${timeoutMs / 1000} s`);
        await sleep(POLL_MS);
      }
      moments[what] = performance.now();
    };
    const accepted = (await this.#jsm.streams.info(STREAMS.ingest.name)).state.last_seq;
    await waitFor('identity', async () => ((await this.#positions('identity', 1))[0] ?? 0) >= accepted);
    const ends = await Promise.all(Array.from({ length: this.#partitions }, (_, p) => this.#lastEvent(p)));
    const running = STAGES.filter((stage) => this.#runs(stage));
    await Promise.all([
      ...running.map((stage) =>
        waitFor(stage, async () => {
          const at = await this.#positions(stage, this.#partitions);
          return ends.every((end, p) => (at[p] ?? 0) >= end);
        }),
      ),
      this.#runs('analytics') && waitFor('analytics', async () => (await this.#sunk()) >= Math.max(...ends)),
    ]);
    return moments;
  }

  /** Until a stage has told every customer there is of all definitions. */
  async swept(stage: string, timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const positions = await this.#stored(stage, this.#partitions);
      if (positions.every((p) => (p?.sweeps ?? []).length === 0)) return;
      if (Date.now() > until) throw new Error(`${stage} still sweeps after ${timeoutMs / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  /** Until so many definitions are in force in every partition of a stage, and every customer there is was told of them. */
  async inForce(stage: string, definitions: number, timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs;
    const partitions = Array.from({ length: this.#partitions }, (_, p) => p);
    for (;;) {
      const known = await Promise.all(partitions.map((p) => this.#redis.hlen(`{${stage}.${p}}:d`)));
      if (known.every((n) => n >= definitions)) return this.swept(stage, timeoutMs);
      if (Date.now() > until)
        throw new Error(`${stage} has not all of ${definitions} definitions after ${timeoutMs / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  get #partitions(): number {
    return this.#cluster.settings.partitions;
  }

  #runs(role: string): boolean {
    return this.#cluster.members.some((member) => member.role === role);
  }

  /** How far a stage's commits are, by partition: sequences of the stream it reads. */
  async #positions(stage: string, partitions: number): Promise<number[]> {
    return (await this.#stored(stage, partitions)).map((position) => position?.seq ?? 0);
  }

  async #stored(stage: string, partitions: number): Promise<({ seq: number; sweeps?: unknown[] } | undefined)[]> {
    // One by one: in a Redis Cluster they are in different slots.
    const texts = await Promise.all(
      Array.from({ length: partitions }, (_, p) => this.#redis.get(`{${stage}.${p}}:position`)),
    );
    return texts.map((text) => (text === null ? undefined : (JSON.parse(text) as { seq: number })));
  }

  async #lastEvent(partition: number): Promise<number> {
    const last = { last_by_subj: subjects.log(partition, 'event') };
    const message = await this.#jsm.streams.getMessage(STREAMS.log.name, last).catch(() => null);
    return message?.seq ?? 0;
  }

  async #sunk(): Promise<number> {
    const text = await metricsOf(this.#cluster.endpoints.httpOf('analytics'));
    return metricValues(text, 'recur_sink_through_seq')[0]?.value ?? 0;
  }
}
