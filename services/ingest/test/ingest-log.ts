import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Event } from '#gen/recur/log/v1/event.ts';
import { decodeFrame, type LogFrame } from '#lib/stream/frames.ts';
import { STREAMS } from '#lib/topology/topology.ts';

/** What is in INGEST, read by a connection of its own. */
export class IngestLog {
  readonly #nats: NatsConnection;

  private constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  static async open(url: string): Promise<IngestLog> {
    return new IngestLog(await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 }));
  }

  close(): Promise<void> {
    return this.#nats.close();
  }

  async lastSeq(): Promise<number> {
    const info = await (await jetstreamManager(this.#nats)).streams.info(STREAMS.ingest.name);
    return info.state.last_seq;
  }

  async frames(afterSeq = 0): Promise<LogFrame[]> {
    const last = await this.lastSeq();
    if (last <= afterSeq) return [];
    const consumer = await jetstream(this.#nats).consumers.get(STREAMS.ingest.name, {
      opt_start_seq: afterSeq + 1,
      deliver_policy: 'by_start_sequence',
    });
    const frames: LogFrame[] = [];
    for await (const message of await consumer.consume({ max_messages: 1000 })) {
      frames.push(decodeFrame(message.data));
      if (message.seq >= last) break;
    }
    return frames;
  }

  async events(afterSeq = 0): Promise<Event[]> {
    const frames = await this.frames(afterSeq);
    return frames.flatMap(({ records }) => records.map(({ body }) => Event.decode(body)));
  }

  async limitBytes(maxBytes: number): Promise<void> {
    await (await jetstreamManager(this.#nats)).streams.update(STREAMS.ingest.name, { max_bytes: maxBytes });
  }

  /** Bytes the stream takes now. */
  async bytes(): Promise<number> {
    return (await (await jetstreamManager(this.#nats)).streams.info(STREAMS.ingest.name)).state.bytes;
  }
}
