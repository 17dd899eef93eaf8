import type { JetStreamClient } from '@nats-io/jetstream';
import type { Redis } from 'ioredis';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { RulesInForce } from '../core/rules-in-force.ts';
import { RULES_KEY } from '../processor-control.ts';

const RETRY_MS = 1_000;

/** Puts changed identifier types into the lane, so that each is in force from one point of it on. */
export class Announcer {
  readonly #js: JetStreamClient;
  readonly #redis: Redis;
  readonly #tag: string;
  readonly #logger: Logger;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(js: JetStreamClient, redis: Redis, tag: string, logger: Logger) {
    this.#js = js;
    this.#redis = redis;
    this.#tag = tag;
    this.#logger = logger;
  }

  announce(definition: ActiveDefinition): void {
    this.#last = this.#last.then(() => this.#persist(definition));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Until it is in the lane. Every replica does this; the lane takes a revision once. */
  async #persist(definition: ActiveDefinition): Promise<void> {
    while (!this.#stopped) {
      try {
        if (!(await this.#isKnown(definition))) await this.#publish(definition);
        return;
      } catch (error) {
        this.#logger.warn({ err: String(error), type: definition.id }, 'an identifier type is not in the lane yet');
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #isKnown({ id, revision }: ActiveDefinition): Promise<boolean> {
    const rules = new RulesInForce();
    rules.load((await this.#redis.getBuffer(this.#tag + RULES_KEY)) ?? new Uint8Array());
    return rules.revisionOf(id) >= revision;
  }

  async #publish(definition: ActiveDefinition): Promise<void> {
    const { kind, id, revision, deleted, body } = definition;
    const record = {
      customerId: '',
      kind: RecordKind.RECORD_KIND_DEFINITION,
      timeMs: 0,
      originSeq: 0,
      originIndex: 0,
      fromTimer: false,
      body: Definition.encode({ kind, id, revision, deleted, body: Buffer.from(body) }).finish(),
    };
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
    await this.#js.publish(subjects.ingest(LANE), frame, { msgID: `${kind}.${id}.${revision}`, timeout: 5_000 });
  }
}
