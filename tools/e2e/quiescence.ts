import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { itemSubjects, type KeyedStageName, LANE, STREAMS, WIRING } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { until } from '#tools/library/progress.ts';

const KEYED = Object.keys(WIRING) as (keyof typeof WIRING)[];

export interface Stores {
  /** Separated by commas. */
  readonly natsUrls: string;
  readonly redisUrl: string;
}

interface Position {
  readonly seq: number;
  readonly clock: number;
  readonly sweeps?: readonly unknown[];
}

/**
 * Whether all that follows from what went in has happened. Looks at the log and at the committed positions, because gauges
 * of a process that was started again say nothing before its next record.
 */
export class Quiescence {
  private readonly cluster: Cluster;
  private readonly natsUrls: string[];
  private readonly redis: Redis;
  private readonly analytics;
  private nats: NatsConnection | undefined;
  /** What was still open at the last look, for the message of a time-out. */
  private open = 'nothing was looked at';

  /** @param stores where NATS and Redis are, when they are not processes of the cluster */
  constructor(cluster: Cluster, stores?: Stores) {
    this.cluster = cluster;
    const { endpoints } = cluster;
    this.natsUrls = (stores?.natsUrls ?? endpoints.natsUrl).split(',');
    this.redis = new Redis(stores?.redisUrl ?? endpoints.redisUrl, { maxRetriesPerRequest: 1, commandTimeout: 2_000 });
    this.redis.on('error', () => {});
    this.analytics = createClient(AnalyticsServiceClient, endpoints.grpc.analytics, { token: endpoints.apiToken });
  }

  /** Waits until the log is read by every stage and written to ClickHouse, and no send is open. */
  async reached(what: string, timeoutMs = 240_000): Promise<void> {
    await until(what, () => this.look(), timeoutMs, 200).catch((error: Error) => {
      throw new Error(`${error.message}. Still open: ${this.open}`);
    });
  }

  /** Waits until so many definitions of each stage are in force in every partition. */
  async defined(counts: Partial<Record<(typeof KEYED)[number], number>>): Promise<void> {
    await until('definitions to be in force', async () => {
      for (const [stage, count] of Object.entries(counts)) {
        for (let p = 0; p < this.cluster.settings.partitions; p++) {
          if ((await this.redis.hlen(`{${stage}.${p}}:d`)) < count) return false;
        }
      }
      return true;
    });
    await this.reached('definitions to be settled');
  }

  async lastSeq(stream: string): Promise<number> {
    const { state } = await (await this.manager()).streams.info(stream);
    return state.last_seq;
  }

  async close(): Promise<void> {
    this.analytics.close();
    this.redis.disconnect();
    await this.nats?.close();
  }

  private async look(): Promise<boolean> {
    this.open = 'a server does not answer';
    const [ingest, log] = await this.lastSeqs();
    const open = [...(await this.openInStages(ingest)), ...(await this.openInTables(log))];
    const [ingestNow, logNow] = await this.lastSeqs();
    // What was looked at one after the other counts only when nothing came in between.
    if (ingestNow !== ingest || logNow !== log) open.push(`the log grew from ${log} to ${logNow}`);
    this.open = open.join('; ');
    return open.length === 0;
  }

  private async openInStages(ingest: number): Promise<string[]> {
    const open: string[] = [];
    const lane = await this.position('identity', LANE);
    if (lane.seq < ingest) open.push(`identity at ${lane.seq} of ${ingest}`);
    for (let p = 0; p < this.cluster.settings.partitions; p++) {
      for (const stage of KEYED) {
        const last = await this.lastItem(p, stage);
        const { seq, sweeps = [] } = await this.position(stage, p);
        if (seq < last) open.push(`${stage}.${p} at ${seq} of ${last}`);
        if (sweeps.length > 0) open.push(`${stage}.${p} sweeps`);
      }
      const sends = await this.redis.hlen(`{messaging.${p}}:p`);
      if (sends > 0) open.push(`messaging.${p} has ${sends} sends open`);
    }
    return open;
  }

  private async openInTables(log: number): Promise<string[]> {
    const { throughSeq } = await this.analytics.getSinkOffset({});
    return throughSeq < log ? [`ClickHouse at ${throughSeq} of ${log}`] : [];
  }

  private async position(stage: string, partition: number): Promise<Position> {
    const text = await this.redis.get(`{${stage}.${partition}}:position`);
    return text === null ? { seq: 0, clock: 0 } : (JSON.parse(text) as Position);
  }

  private async lastSeqs(): Promise<[number, number]> {
    return [await this.lastThere(STREAMS.ingest.name), await this.lastThere(STREAMS.log.name)];
  }

  /** Of the last message there is: a restore leaves out what came after the backup, and its numbers are not given again. */
  private async lastThere(stream: string): Promise<number> {
    const last = await (await this.manager()).streams.getMessage(stream, { last_by_subj: '>' });
    return last?.seq ?? 0;
  }

  /** Sequence of the last record a keyed stage of this partition steps through. */
  private async lastItem(partition: number, stage: KeyedStageName): Promise<number> {
    const manager = await this.manager();
    let last = 0;
    for (const subject of itemSubjects(partition, stage)) {
      // One look-up a subject; those with a wildcard are few.
      const { state } = await manager.streams.info(STREAMS.log.name, { subjects_filter: subject });
      for (const found of Object.keys(state.subjects ?? {})) {
        const message = await manager.streams.getMessage(STREAMS.log.name, { last_by_subj: found });
        last = Math.max(last, message?.seq ?? 0);
      }
    }
    return last;
  }

  private async manager(): Promise<JetStreamManager> {
    if (this.nats === undefined || this.nats.isClosed()) {
      this.nats = await connect({ servers: this.natsUrls, maxReconnectAttempts: -1, timeout: 2_000 });
    }
    return jetstreamManager(this.nats, { checkAPI: false, timeout: 2_000 });
  }
}
