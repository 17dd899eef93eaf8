import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JetStreamManager, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import { Child } from '#tools/servers/child.ts';
import { type NatsServer, startNats } from '#tools/servers/nats.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { startRedis } from '#tools/servers/redis.ts';
import type { Server } from '#tools/servers/server.ts';
import { bundled } from '#tools/testkit/bundled.ts';
import { decodeFrame, encodeFrame, type LogRecord } from '../frames.ts';

export const PARTITIONS = 2;
const WORKER = await bundled(join(import.meta.dirname, 'worker.ts'));

/** Real servers in a folder of their own, replicas to harm, and an independent look at what the log holds. */
export class Rig {
  readonly nats: NatsServer;
  readonly redis: Server;
  readonly dir: string;
  private readonly nc: NatsConnection;
  private readonly jsm: JetStreamManager;
  private readonly workers: Child[] = [];
  private published = 0;

  private constructor(dir: string, nats: NatsServer, redis: Server, nc: NatsConnection, jsm: JetStreamManager) {
    this.dir = dir;
    this.nats = nats;
    this.redis = redis;
    this.nc = nc;
    this.jsm = jsm;
  }

  static async start(options: { redisConfig?: string } = {}): Promise<Rig> {
    const dir = mkdtempSync(join(tmpdir(), 'recur-kit-'));
    const nats = await startNats({ dir: join(dir, 'nats') });
    const redis = await startRedis({
      dir: join(dir, 'redis'),
      ...(options.redisConfig && { config: options.redisConfig }),
    });
    const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const jsm = await jetstreamManager(nc);
    for (const s of [STREAMS.log, STREAMS.deadLetters]) {
      await jsm.streams.add({
        name: s.name,
        subjects: [...s.subjects],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        allow_direct: true,
        metadata: { recur_partitions: String(PARTITIONS), recur_clock: 'event' },
      });
    }
    return new Rig(dir, nats, redis, nc, jsm);
  }

  async stop(): Promise<void> {
    for (const w of this.workers) await w.kill9().catch(() => {});
    await this.nc.close();
    await this.redis.stop();
    await this.nats.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A replica; `failPoint` arms one of fail-points.ts. It is ready when it answers. */
  async worker(replicaId: string, env: Record<string, string> = {}): Promise<Worker> {
    const port = await privatePort();
    const worker = await Child.start({
      name: replicaId,
      command: process.execPath,
      args: [WORKER],
      env: {
        ...process.env,
        NATS_URL: this.nats.url,
        REDIS_URL: this.redis.url,
        PARTITIONS: String(PARTITIONS),
        CLOCK: 'event',
        REPLICA_ID: replicaId,
        HTTP_PORT: String(port),
        ...env,
      },
      logFile: join(this.dir, `${replicaId}.log`),
      ready: async () => (await fetch(`http://127.0.0.1:${port}/`)).ok,
    });
    this.workers.push(worker);
    return Object.assign(worker, {
      info: async () => (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as WorkerInfo,
    });
  }

  /** Appends one frame to each partition, as identity would: one record per customer, `at` ms of event time. */
  async feed(frames: readonly TestFrame[]): Promise<void> {
    for (const f of frames) {
      const records = f.records.map(
        ([customerId, text]): LogRecord => ({
          customerId,
          kind: RecordKind.RECORD_KIND_EVENT,
          timeMs: f.at,
          originSeq: 0,
          originIndex: 0,
          fromTimer: false,
          body: Buffer.from(text),
        }),
      );
      const frame = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: f.at, records };
      await this.publish(subjects.log(f.partition, 'event'), encodeFrame(frame));
    }
  }

  /** Once, however often the server has to be asked. */
  private async publish(subject: string, data: Uint8Array): Promise<void> {
    const msgID = String(this.published++);
    for (;;) {
      try {
        await jetstream(this.nc).publish(subject, data, { msgID, timeout: 1_000 });
        return;
      } catch {
        await new Promise((r) => setTimeout(r, 100));
      }
    }
  }

  /** Removes the log up to a sequence, as its limits would. */
  async cutLog(upTo: number): Promise<void> {
    await this.jsm.streams.purge(STREAMS.log.name, { seq: upTo + 1 });
  }

  /** What a subject holds, record by record. */
  async outputs(kind: 'profile' | 'segment', partition: number): Promise<string[]> {
    const lines: string[] = [];
    for (const m of await this.messages(subjects.log(partition, kind))) {
      for (const r of decodeFrame(m).records) lines.push(`${r.customerId} ${r.timeMs} ${Buffer.from(r.body)}`);
    }
    return lines;
  }

  /** Everything both stages wrote. */
  async everything(): Promise<string[]> {
    const all: string[] = [];
    for (let p = 0; p < PARTITIONS; p++) {
      for (const kind of ['profile', 'segment'] as const) {
        for (const line of await this.outputs(kind, p)) all.push(`${p} ${kind} ${line}`);
      }
    }
    return all;
  }

  async messages(subject: string, stream: string = STREAMS.log.name): Promise<Uint8Array[]> {
    const found: Uint8Array[] = [];
    let seq = 1;
    for (;;) {
      const m = await this.jsm.streams.getMessage(stream, { next_by_subj: subject, seq } as never).catch(() => null);
      if (!m) return found;
      found.push(m.data);
      seq = m.seq + 1;
    }
  }

  /** Waits until both stages have covered the log's events and have the states in Redis. */
  async settled(timeoutMs = 30_000, partitions = [0, 1]): Promise<void> {
    const redis = new Redis(this.redis.url, { retryStrategy: () => 100 });
    redis.on('error', () => {});
    const until = Date.now() + timeoutMs;
    try {
      for (;;) {
        const behind = await this.behind(redis, partitions).catch((e: unknown) => [String(e)]);
        if (behind.length === 0) return;
        if (Date.now() > until) throw new Error(`not settled: ${behind.join(', ')}`);
        await new Promise((r) => setTimeout(r, 50));
      }
    } finally {
      redis.disconnect();
    }
  }

  private async behind(redis: Redis, partitions: readonly number[]): Promise<string[]> {
    const behind: string[] = [];
    for (const p of partitions) {
      const last = await this.jsm.streams.getMessage(STREAMS.log.name, { last_by_subj: subjects.log(p, 'event') });
      for (const stage of ['profile', 'segmentation']) {
        const position = JSON.parse((await redis.get(`{${stage}.${p}}:position`)) ?? '{"seq":0}') as {
          seq: number;
        };
        if (position.seq < (last?.seq ?? 0)) behind.push(`${stage}.${p} at ${position.seq} of ${last?.seq}`);
      }
    }
    return behind;
  }
}

export type Worker = Child & { info(): Promise<WorkerInfo> };

export interface WorkerInfo {
  readonly partitions: number[][];
  readonly rss: number;
}

export interface TestFrame {
  readonly partition: number;
  readonly at: number;
  readonly records: readonly (readonly [customerId: string, text: string])[];
}

/** A seeded log: frames of a few records for a few customers, time moving on. */
export function testLog(frames: number, seed: number): TestFrame[] {
  let x = seed;
  const random = (n: number) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x % n;
  };
  let at = 1_000;
  return Array.from({ length: frames }, () => {
    at += random(30);
    const partition = random(PARTITIONS);
    const records = Array.from(
      { length: random(6) },
      () => [`c${partition}-${random(12)}`, `e${random(1000)}`] as const,
    );
    return { partition, at, records };
  });
}
