import {
  AckPolicy,
  type Consumer,
  type ConsumerMessages,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { failPoint } from '#lib/stream/fail-points.ts';
import { decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { JETSTREAM_CALL } from '#lib/stream/jetstream.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';

/** Records a frame of INGEST. */
const FRAME = 500;
/** A frame whose relay died goes to another one after this. */
const ACK_WAIT_MS = 10_000;
const RETRY_MS = 1_000;

export interface RelayOptions {
  readonly nats: NatsConnection;
  readonly partitions: number;
  readonly replicas: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Takes what journeys say of customers (DERIVED) from the log into INGEST, by the way of every event. A frame is acknowledged when
 * INGEST has all of it, so a crash repeats it at most, and identity drops message ids it has seen. One frame of a partition is under
 * way at a time whatever the number of replicas: what is said of one customer stays in its order.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #reading = new Set<ConsumerMessages>();
  readonly #loops: Promise<void>[] = [];
  #stopping = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** From here on it reads, as soon as NATS answers: a service that starts need not wait for it. */
  start(): void {
    for (let partition = 0; partition < this.#options.partitions; partition++) this.#loops.push(this.#run(partition));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#reading].map((messages) => messages.close()));
    await Promise.all(this.#loops);
  }

  async #run(partition: number): Promise<void> {
    while (!this.#stopping) {
      try {
        const consumer = await this.#consumer(partition);
        const messages = await consumer.consume({ max_messages: 1 });
        if (this.#stopping) return void (await messages.close());
        this.#reading.add(messages);
        for await (const message of messages) await this.#take(message);
        this.#reading.delete(messages);
      } catch (error) {
        if (this.#stopping) return;
        this.#options.onError(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** The durable consumer of a partition, made when it is not there. */
  async #consumer(partition: number): Promise<Consumer> {
    const { nats, replicas } = this.#options;
    const name = `journey-relay-${partition}`;
    const manager = await jetstreamManager(nats, { ...JETSTREAM_CALL, checkAPI: false });
    await manager.consumers.add(STREAMS.log.name, {
      durable_name: name,
      filter_subject: subjects.log(partition, 'step'),
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      max_ack_pending: 1,
      num_replicas: replicas,
    });
    return jetstream(nats, JETSTREAM_CALL).consumers.get(STREAMS.log.name, name);
  }

  async #take(message: JsMsg): Promise<void> {
    try {
      const derived = decodeFrame(message.data).records.filter(({ kind }) => kind === RecordKind.RECORD_KIND_DERIVED);
      if (derived.length > 0) await this.#tell(derived);
      message.ack();
    } catch (error) {
      this.#options.onError(error);
      message.nak(RETRY_MS);
    }
  }

  async #tell(derived: readonly LogRecord[]): Promise<void> {
    const js = jetstream(this.#options.nats);
    for (let from = 0; from < derived.length; from += FRAME) {
      const records = derived.slice(from, from + FRAME).map(({ timeMs, body }) => ({ ...NOWHERE, timeMs, body }));
      failPoint('journey-relay', 'before_publish');
      await js.publish(subjects.ingest(LANE), encodeFrame({ ...EMPTY, records }));
      failPoint('journey-relay', 'after_publish');
    }
  }
}

const EMPTY = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0 };
/** As in every record of INGEST: whose it is, identity says. */
const NOWHERE = { customerId: '', kind: RecordKind.RECORD_KIND_EVENT, originSeq: 0, originIndex: 0, fromTimer: false };
