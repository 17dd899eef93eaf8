import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { clusterOf } from '#lib/boot/streams.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import {
  type KeyedStageName,
  LANE,
  partitionOf,
  STREAMS,
  type StageName,
  subjects,
  WIRING,
} from '#lib/topology/topology.ts';

/** A record that was refused, with its number in DEAD_LETTERS. */
export interface Letter {
  readonly number: number;
  readonly letter: DeadLetter;
}

export type Replayed = 'replayed' | 'was replayed before';

/** The dead letters of a cluster. */
export class DeadLetters {
  readonly #nats: NatsConnection;
  readonly #manager: JetStreamManager;
  readonly #partitions: number;

  private constructor(nats: NatsConnection, manager: JetStreamManager, partitions: number) {
    this.#nats = nats;
    this.#manager = manager;
    this.#partitions = partitions;
  }

  static async open(nats: NatsConnection): Promise<DeadLetters> {
    const manager = await jetstreamManager(nats);
    return new DeadLetters(nats, manager, (await clusterOf(manager)).partitions);
  }

  /** Oldest first. @param stage only those of this stage */
  async *list(stage?: StageName): AsyncGenerator<Letter> {
    const subject = stage === undefined ? STREAMS.deadLetters.subjects[0] : `dead.${stage}.*`;
    for (let seq = 1; ; ) {
      const message = await this.#next(seq, subject);
      if (message === undefined) return;
      yield message;
      seq = message.number + 1;
    }
  }

  async get(number: number): Promise<Letter | undefined> {
    const message = await this.#manager.direct
      .getMessage(STREAMS.deadLetters.name, { seq: number })
      .catch(undefinedWhenMissing);
    return message ? { number, letter: DeadLetter.decode(message.data) } : undefined;
  }

  /**
   * Gives the record to its stage once more, and takes the letter out of the stream. When it is refused again a new letter comes.
   * Each letter is replayed once, whoever asks how often: it goes to a subject of its own, which takes one message.
   * @throws Error when it cannot be replayed
   */
  async replay({ number, letter }: Letter): Promise<Replayed> {
    const why = obstacle(letter);
    if (why !== undefined) throw new Error(why);
    const { record } = letter;
    // Not where it was refused: the number of partitions may have changed since.
    const partition = record?.customerId ? partitionOf(record.customerId, this.#partitions) : letter.partition;
    const frame = encodeFrame({
      throughSeq: 0,
      ahead: 0,
      aheadSeq: 0,
      watermarkMs: 0,
      // Where it stood when it was refused means nothing at its new place.
      records: [{ ...(record as NonNullable<typeof record>), originSeq: 0, originIndex: 0, clearsPending: '' }],
    });
    const js = jetstream(this.#nats);
    let result: Replayed = 'replayed';
    if (letter.stage === 'identity') await js.publish(subjects.ingest(LANE), frame);
    else {
      const subject = `log.${partition}.handover.${letter.stage}.replay-${number}`;
      try {
        await js.publish(subject, frame, { expect: { lastSubjectSequence: 0 } });
      } catch (error) {
        if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamWrongLastSequence)
          throw error;
        result = 'was replayed before';
      }
    }
    await this.drop(number);
    return result;
  }

  /** Gone for good. */
  async drop(number: number): Promise<void> {
    await this.#manager.streams.deleteMessage(STREAMS.deadLetters.name, number);
  }

  async #next(seq: number, subject: string): Promise<Letter | undefined> {
    const message = await this.#manager.direct
      .getMessage(STREAMS.deadLetters.name, { seq, next_by_subj: subject })
      .catch(undefinedWhenMissing);
    return message ? { number: message.seq, letter: DeadLetter.decode(message.data) } : undefined;
  }
}

/** Why a letter cannot be replayed; undefined when it can. */
export function obstacle({ stage, record }: DeadLetter): string | undefined {
  if (stage === 'analytics')
    return 'analytics reads the log by position: what it refused becomes a row when its tables are filled again from the log';
  if (stage !== 'identity' && !(stage in WIRING)) return `there is no stage ${stage}`;
  if (record === undefined || record.body.length === 0)
    return 'a timer failed, not a record: there is nothing to replay';
  // Message ids make identity take an event once, however often it is replayed; other stages get a subject of their own.
  return undefined;
}

export const isStage = (name: string): name is KeyedStageName | 'identity' | 'analytics' =>
  name in WIRING || name === 'identity' || name === 'analytics';

function undefinedWhenMissing(error: unknown): undefined {
  if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
  throw error;
}
