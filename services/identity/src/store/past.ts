import type { JetStreamManager } from '@nats-io/jetstream';
import { DeliverPolicy } from '@nats-io/jetstream';
import { clusterOf } from '#lib/boot/streams.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import type { LogClient } from '#lib/stream/publisher.ts';
import { partitionOf, partitionsOver, STREAMS, subjects } from '#lib/topology/topology.ts';
import { Past } from '../core/past.ts';
import type { PastReader } from '../processor-control.ts';

/** Reads the events of customers from the log again. It looks at every event of their partitions: costly, and seldom. */
export class LogPast implements PastReader {
  readonly #js: LogClient;
  readonly #jsm: JetStreamManager;
  readonly #partitions: number;

  constructor(js: LogClient, jsm: JetStreamManager, partitions: number) {
    this.#js = js;
    this.#jsm = jsm;
    this.#partitions = partitions;
  }

  async read(customerIds: ReadonlySet<string>, beforeLaneSeq: number, limit: number) {
    const past = new Past(customerIds, beforeLaneSeq);
    const { layouts } = await clusterOf(this.#jsm);
    const homes = new Set([...customerIds].map((id) => partitionOf(id, this.#partitions)));
    const partitions = new Set([...homes].flatMap((p) => partitionsOver(p, layouts)));
    for (const p of partitions) await this.#scan(subjects.log(p, 'event'), past);
    const { records, incomplete } = past.found();
    return { records, incomplete, tooMany: records.length > limit };
  }

  async #scan(subject: string, past: Past): Promise<void> {
    // null: there is none. No answer is an error: what was not read must not look as if it were not there.
    const last = await this.#jsm.streams.getMessage(STREAMS.log.name, { last_by_subj: subject });
    if (last === null) return;
    const consumer = await this.#js.consumers.get(STREAMS.log.name, {
      filter_subjects: [subject],
      deliver_policy: DeliverPolicy.All,
    });
    const messages = await consumer.consume({ max_bytes: 8 * 1024 * 1024, idle_heartbeat: 1_000, expires: 30_000 });
    let reached = false;
    for await (const m of messages) {
      for (const [index, record] of decodeFrame(m.data).records.entries()) {
        past.take(record, m.seq, index);
      }
      reached = m.seq >= last.seq;
      if (reached) break;
    }
    await messages.close();
    if (!reached) throw new Error(`${subject} could not be read to its end`);
  }
}
