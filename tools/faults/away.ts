import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { STREAMS } from '#lib/topology/topology.ts';
import type { World } from './harm.ts';
import { type FaultName, VOTED } from './plan.ts';

const LOOK_MS = 50;
const ANSWER_MS = 300;
const REDIS_FAULTS: readonly FaultName[] = ['restart redis', 'redis loses a second', 'redis disk full'];

/** Asks what was harmed itself, past all services: until it answers nobody can have recovered. */
export class Away {
  readonly #world: World;
  readonly #redis: Redis;
  #nats: NatsConnection | undefined;
  #manager: JetStreamManager | undefined;

  constructor(world: World, redisUrl: string) {
    this.#world = world;
    this.#redis = new Redis(redisUrl, {
      maxRetriesPerRequest: 0,
      commandTimeout: ANSWER_MS,
      retryStrategy: () => LOOK_MS,
    });
    this.#redis.on('error', () => {});
  }

  async stop(): Promise<void> {
    this.#redis.disconnect();
    await this.#nats?.close();
  }

  /**
   * Seconds from `since` (of performance.now) until a killed process is ready, NATS has leaders, Redis takes writes, ClickHouse
   * answers. Null when that does not happen in time; 0 for what was never away.
   */
  async seconds(fault: FaultName, since: number, patienceMs: number): Promise<number | null> {
    const there = this.#question(fault);
    if (there === undefined) return 0;
    while (!(await there().catch(() => false))) {
      if (performance.now() - since > patienceMs) return null;
      await sleep(LOOK_MS);
    }
    return (performance.now() - since) / 1000;
  }

  #question(fault: FaultName): (() => Promise<boolean>) | undefined {
    if (VOTED.has(fault)) return () => this.#led();
    if (REDIS_FAULTS.includes(fault)) return async () => (await this.#redis.set('faults', '', 'PX', 1_000)) === 'OK';
    const { cluster, servers } = this.#world;
    if (!fault.startsWith('kill ')) return undefined;
    const { running, spec } = fault === 'kill clickhouse' ? servers.clickhouse.child : cluster.process(fault.slice(5));
    if (running) return undefined;
    return () => spec.ready();
  }

  /** A stream without a leader says nothing at all, and so does a cluster without the one who makes consumers. */
  async #led(): Promise<boolean> {
    const { ingest, log } = STREAMS;
    const manager = await this.#jsm();
    await manager.getAccountInfo();
    const infos = await Promise.all([ingest, log].map(({ name }) => manager.streams.info(name)));
    return infos.every(({ cluster }) => (cluster?.leader ?? '') !== '');
  }

  async #jsm(): Promise<JetStreamManager> {
    if (this.#nats === undefined || this.#nats.isClosed()) {
      const servers = this.#world.servers.natsUrls.split(',');
      const patient = { maxReconnectAttempts: -1, reconnectTimeWait: LOOK_MS, reconnectJitter: 0, timeout: 1_000 };
      this.#nats = await connect({ servers, ...patient });
      this.#manager = await jetstreamManager(this.#nats, { checkAPI: false, timeout: ANSWER_MS });
    }
    return this.#manager as JetStreamManager;
  }
}
