import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { type KeyedStageName, LANE, STREAMS, WIRING } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { Stores } from '#tools/e2e/quiescence.ts';

const SAMPLE_MS = 100;
const CALL_MS = 1_000;
/** How long one looks for harm at least, and how long calm must last to be believed. */
const OBSERVED_MS = 5_000;
const CALM_MS = 1_500;
/** The sink gathers rows for up to three seconds on purpose (SINK_LIMITS of analytics): that is no lag. */
const GATHERING_SECONDS = 3;

export interface Recovery {
  readonly seconds: number;
  /** Who was behind longest; empty when nobody ever was. */
  readonly last: string;
}

interface Sample {
  readonly at: number;
  /** Seconds; infinite while somebody does not answer. */
  readonly lag: number;
  /** Who is furthest behind, or what did not answer. */
  readonly who: string;
}

/**
 * How far the system is behind the present, several times a second: the oldest clock among all (stage, partition), as committed
 * in Redis, and the oldest record that is not in ClickHouse. With events flowing into every partition all the time, a clock that
 * is a second old means that somebody waits a second, wherever it is stuck: at ingest, in a stage, or in a store.
 */
export class LagWatch {
  readonly samples: Sample[] = [];
  readonly #cluster: Cluster;
  readonly #stores: Stores;
  readonly #redis: Redis;
  readonly #analytics;
  #nats: NatsConnection | undefined;
  #manager: JetStreamManager | undefined;
  /** When LOG had grown beyond a sequence. */
  #growth: { at: number; seq: number }[] = [];
  #stopping = false;
  #loop: Promise<void>;

  constructor(cluster: Cluster, stores: Stores) {
    this.#cluster = cluster;
    this.#stores = stores;
    this.#redis = new Redis(stores.redisUrl, {
      maxRetriesPerRequest: 0,
      commandTimeout: CALL_MS,
      retryStrategy: () => 100,
    });
    this.#redis.on('error', () => {});
    const { grpc, apiToken: token } = cluster.endpoints;
    this.#analytics = createClient(AnalyticsServiceClient, grpc.analytics, { token, deadlineMs: CALL_MS });
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop;
    this.#redis.disconnect();
    this.#analytics.close();
    await this.#nats?.close();
  }

  /**
   * From `since` (of performance.now) until nobody is behind any more, and who was the last to be. Harm takes a while to show, so
   * it is looked for some seconds in any case, and calm must have lasted. Undefined when that does not happen in time.
   */
  async recovered(since: number, limit: number, patienceMs: number): Promise<Recovery | undefined> {
    for (;;) {
      await sleep(SAMPLE_MS);
      const now = performance.now();
      const last = this.samples.findLast(({ at, lag }) => at >= since && lag >= limit);
      const calm = now - (last?.at ?? since);
      if (now - since >= OBSERVED_MS && calm >= CALM_MS) {
        if (last === undefined) return { seconds: 0, last: '' };
        const next = this.samples.find(({ at }) => at > last.at);
        return { seconds: ((next?.at ?? now) - since) / 1000, last: last.who };
      }
      if (now - since > patienceMs) return undefined;
    }
  }

  /** The most anybody was behind since then, seconds; infinite when somebody did not answer. */
  worst(since: number): number {
    return this.samples.filter(({ at }) => at >= since).reduce((most, { lag }) => Math.max(most, lag), 0);
  }

  /** What was seen last. */
  get now(): Sample | undefined {
    return this.samples.at(-1);
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const at = performance.now();
      const sample = await this.#sample().catch((error: Error) => ({ lag: Infinity, who: error.message.slice(0, 60) }));
      this.samples.push({ at: performance.now(), ...sample });
      await sleep(Math.max(0, at + SAMPLE_MS - performance.now()));
    }
  }

  async #sample(): Promise<{ lag: number; who: string }> {
    const [clocks, table] = await Promise.all([
      this.#clocks().catch(named('Redis')),
      this.#tableLag().catch(named('NATS or analytics')),
    ]);
    const now = Date.now();
    let worst = { lag: table, who: 'analytics' };
    for (const [who, clock] of clocks) if (now - clock > worst.lag * 1000) worst = { lag: (now - clock) / 1000, who };
    return worst;
  }

  async #clocks(): Promise<[string, number][]> {
    const names = [`identity.${LANE}`];
    for (const stage of Object.keys(WIRING) as KeyedStageName[]) {
      for (let p = 0; p < this.#cluster.settings.partitions; p++) names.push(`${stage}.${p}`);
    }
    const found = await this.#redis.mget(names.map((name) => `{${name}}:position`));
    return names.map((name, i) => [name, (JSON.parse(found[i] ?? '{"clock":0}') as { clock: number }).clock]);
  }

  async #tableLag(): Promise<number> {
    const { state } = await (await this.#jsm()).streams.info(STREAMS.log.name);
    const at = performance.now();
    if (state.last_seq > (this.#growth.at(-1)?.seq ?? 0)) this.#growth.push({ at, seq: state.last_seq });
    const { throughSeq } = await this.#analytics.getSinkOffset({});
    this.#growth = this.#growth.filter(({ seq }) => seq > throughSeq);
    const waiting = this.#growth[0] === undefined ? 0 : (performance.now() - this.#growth[0].at) / 1000;
    return Math.max(0, waiting - GATHERING_SECONDS);
  }

  async #jsm(): Promise<JetStreamManager> {
    if (this.#nats === undefined || this.#nats.isClosed()) {
      const servers = this.#stores.natsUrls.split(',');
      this.#nats = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: CALL_MS });
      this.#manager = await jetstreamManager(this.#nats, { checkAPI: false, timeout: CALL_MS });
    }
    return this.#manager as JetStreamManager;
  }
}

const named =
  (who: string) =>
  (error: Error): never => {
    throw new Error(`${who}: ${error.message}`);
  };
