import { readFileSync } from 'node:fs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Decision, Delivery, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { MessagingServiceClient, type MessagingServiceService } from '#gen/recur/messaging/v1/messaging_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { type Started, startServers } from '#tools/testkit/servers.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { ASK, journey, profile, segmentation } from './upstream.ts';

const PARTITIONS = 2;

interface MailSummary {
  readonly ID: string;
  readonly MessageID: string;
  readonly Subject: string;
  readonly To: readonly { readonly Address: string }[];
}

/** NATS, Redis, a mailbox, stand-ins for the upstream stages, and the service as the process it is in production. */
export class Rig {
  readonly service: SpawnedService;
  readonly client: RpcClient<typeof MessagingServiceService>;
  private readonly servers: Started<{ nats: true; redis: true; mailbox: true }>;
  private readonly nc: NatsConnection;
  private readonly redis: Redis;
  private readonly stages: RunningStage[] = [];
  private readonly sealer = new Sealer(KeyRing.parse(readFileSync(testSecrets().files.sealingKey, 'utf8')));

  private constructor(servers: Rig['servers'], nc: NatsConnection, service: SpawnedService) {
    this.servers = servers;
    this.nc = nc;
    this.service = service;
    this.client = createClient(MessagingServiceClient, service.grpcAddr, { token: testSecrets().apiToken });
    this.redis = new Redis(servers.redis.url, { maxRetriesPerRequest: null });
  }

  /** @param more settings of the service, beside where its servers are */
  static async start(more: Readonly<Record<string, string>> = {}): Promise<Rig> {
    const servers = await startServers({ nats: true, redis: true, mailbox: true });
    const env = {
      ...{ NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) },
      ...{ SMTP_URL: servers.mailbox.url, SMTP_LOOKUP_URL: servers.mailbox.httpUrl },
      ...more,
    };
    const service = await spawnService('messaging', env, { readyTimeoutMs: 170_000 });
    const rig = new Rig(servers, await connect({ servers: servers.nats.url }), service);
    await rig.startUpstream();
    return rig;
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.service.stop();
    for (const stage of this.stages) await stage.stop();
    await this.nc.close();
    this.redis.disconnect();
    await this.servers.stop();
  }

  /** After the service has made the streams. */
  private async startUpstream(): Promise<void> {
    const logger = pino({ level: 'warn' });
    const options = { nats: this.nc, redis: this.redis, partitions: PARTITIONS, clock: 'live', logger } as const;
    for (const spec of [profile, segmentation, journey]) {
      this.stages.push(await startStage(spec, { ...options, replicaId: 'test', registry: new Registry() }));
    }
  }

  /** Appends events as identity would: one frame per partition. */
  async events(list: readonly (readonly [customerId: string, event: Partial<Event>])[]): Promise<void> {
    const byPartition = new Map<number, LogRecord[]>();
    for (const [customerId, event] of list) {
      const body = Event.encode(
        Event.fromPartial({ messageId: `m${Math.random()}`, timeMs: Date.now(), ...event }),
      ).finish();
      const partition = partitionOf(customerId, PARTITIONS);
      const record = {
        customerId,
        kind: RecordKind.RECORD_KIND_EVENT,
        timeMs: Date.now(),
        originSeq: 0,
        originIndex: 0,
        fromTimer: false,
        body,
      };
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), record]);
    }
    for (const [partition, records] of byPartition) {
      const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
      await jetstream(this.nc).publish(subjects.log(partition, 'event'), frame);
    }
  }

  /** @param addresses beside e-mail and phone, by trait */
  identify(
    customerId: string,
    phone?: string,
    addresses: Readonly<Record<string, string>> = {},
  ): readonly [string, Partial<Event>] {
    const traits = [
      { name: 'email', json: Buffer.alloc(0), sealed: this.sealer.seal(JSON.stringify(`${customerId}@example.org`)) },
      ...(phone === undefined
        ? []
        : [{ name: 'phone', json: Buffer.alloc(0), sealed: this.sealer.seal(JSON.stringify(phone)) }]),
      ...Object.entries(addresses).map(([name, address]) => ({
        ...{ name, json: Buffer.alloc(0), sealed: this.sealer.seal(JSON.stringify(address)) },
      })),
      { name: 'first_name', json: Buffer.alloc(0), sealed: this.sealer.seal(JSON.stringify(`Ana ${customerId}`)) },
    ];
    return [customerId, { type: EventType.EVENT_TYPE_IDENTIFY, traits }];
  }

  ask(customerId: string, request: Partial<SendRequest>): readonly [string, Partial<Event>] {
    const wanted = { channel: 'email', purpose: 'transactional', templateId: 'welcome', ...request };
    const propertiesJson = Buffer.from(SendRequest.encode(SendRequest.fromPartial(wanted)).finish());
    return [customerId, { type: EventType.EVENT_TYPE_TRACK, name: ASK, propertiesJson }];
  }

  /** Everything messaging wrote, in order per partition. */
  async output(): Promise<{ decisions: Decision[]; deliveries: Delivery[] }> {
    const jsm = await jetstreamManager(this.nc);
    const found = { decisions: [] as Decision[], deliveries: [] as Delivery[] };
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const subject = subjects.log(partition, 'delivery');
      for (let seq = 1; ; ) {
        const message = await jsm.streams
          .getMessage(STREAMS.log.name, { next_by_subj: subject, seq } as never)
          .catch(() => null);
        if (!message) break;
        seq = message.seq + 1;
        for (const { kind, body } of decodeFrame(message.data).records) {
          if (kind === RecordKind.RECORD_KIND_DECISION) found.decisions.push(Decision.decode(body));
          else found.deliveries.push(Delivery.decode(body));
        }
      }
    }
    return found;
  }

  /** Events in INGEST, in order, with the customer they say they are about. */
  async ingested(): Promise<{ customer: string; event: Event }[]> {
    const jsm = await jetstreamManager(this.nc);
    const found: { customer: string; event: Event }[] = [];
    for (let seq = 1; ; seq++) {
      const message = await jsm.streams.getMessage(STREAMS.ingest.name, { seq }).catch(() => null);
      if (!message) return found;
      for (const { body } of Frame.decode(message.data).records) {
        const event = Event.decode(body);
        found.push({ customer: event.identifiers[0]?.hash.toString() ?? '', event });
      }
    }
  }

  /** What became of a send, as the outbox would tell it. */
  async outcome(customerId: string, delivery: Partial<Delivery>): Promise<void> {
    const partition = partitionOf(customerId, PARTITIONS);
    const body = Delivery.encode(Delivery.fromPartial(delivery)).finish();
    const record = {
      ...{ customerId, kind: RecordKind.RECORD_KIND_DELIVERY, timeMs: Date.now(), originSeq: 0, originIndex: 0 },
      ...{ fromTimer: false, body },
    };
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
    await jetstream(this.nc).publish(subjects.log(partition, 'outcome'), frame);
  }

  /** The newest mail as it came. */
  async rawMail(): Promise<string> {
    const [newest] = await this.mails();
    const response = await fetch(`${this.servers.mailbox.httpUrl}/api/v1/message/${newest?.ID}/raw`);
    return await response.text();
  }

  /** Pending work left in Redis, all partitions. */
  async pending(): Promise<number> {
    let count = 0;
    for (let partition = 0; partition < PARTITIONS; partition++)
      count += await this.redis.hlen(`{messaging.${partition}}:p`);
    return count;
  }

  /** Everything in the mailbox, newest first. */
  async mails(): Promise<MailSummary[]> {
    const response = await fetch(`${this.servers.mailbox.httpUrl}/api/v1/messages?limit=1000`);
    return ((await response.json()) as { messages: MailSummary[] }).messages;
  }

  async mailCount(): Promise<number> {
    const response = await fetch(`${this.servers.mailbox.httpUrl}/api/v1/count`);
    return ((await response.json()) as { count: number }).count;
  }

  async chaos(settings: { loseAnswer?: number; refuse?: number; delayMs?: number }): Promise<void> {
    const body = JSON.stringify(settings);
    await fetch(`${this.servers.mailbox.httpUrl}/api/v1/chaos`, { method: 'PUT', body });
  }
}

export async function eventually<T>(look: () => Promise<T> | T, good: (value: T) => boolean, ms = 30_000): Promise<T> {
  const until = Date.now() + ms;
  for (;;) {
    const value = await look();
    if (good(value) || Date.now() > until) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
