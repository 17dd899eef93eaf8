import { jetstream, jetstreamManager, type PubAck } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { decodeFrame } from '#lib/stream/frames.ts';
import { JETSTREAM_CALL } from '#lib/stream/jetstream.ts';
import type { Until } from '#lib/stream/join.ts';
import { PartitionRunner } from '#lib/stream/partition-runner.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import type { LogClient } from '#lib/stream/publisher.ts';
import { type StageDeps, StageMetrics } from '#lib/stream/stage-deps.ts';
import type { ClockMode } from '#lib/stream/steps.ts';
import { WIRING } from '#lib/topology/topology.ts';

export interface FoldParts {
  readonly nats: NatsConnection;
  /** Where the folded state goes, under the keys of the stage. */
  readonly scratch: Redis;
  readonly partitions: number;
  readonly clock: ClockMode;
  readonly logger: Logger;
}

/** Records a fold gives that the log does not have, though the stage has committed what comes after: the log lost them. */
export interface Unsaid {
  readonly subject: string;
  readonly records: number;
}

const TOKEN = 'rebuild';

/** Folds partitions of a stage from the log with the engine that runs it live, and says nothing to anybody. */
export class Fold<S, D> {
  readonly #spec: StageSpec<S, D>;
  readonly #parts: FoldParts;
  readonly #metrics: StageMetrics;
  readonly unsaid: Unsaid[] = [];

  constructor(spec: StageSpec<S, D>, parts: FoldParts) {
    // Work for the outside world is only kept with the state.
    const { onPending: _, ...silent } = spec;
    this.#spec = silent;
    this.#parts = parts;
    this.#metrics = new StageMetrics(new Registry(), parts.clock);
  }

  /** Goes on from where the scratch stands. @param until a position the live stage has committed */
  async to(partition: number, until: Until): Promise<void> {
    const { nats, scratch, partitions, clock, logger } = this.#parts;
    await scratch.set(`${stageTag(this.#spec.stage, partition)}:owner`, TOKEN);
    let failure: unknown;
    const deps: StageDeps = {
      js: silenced(jetstream(nats, JETSTREAM_CALL), (unsaid) => this.#note(unsaid)),
      jsm: await jetstreamManager(nats, JETSTREAM_CALL),
      redis: scratch,
      partitions,
      clock,
      logger,
      onError: (error) => {
        failure ??= error;
        runner.abandon();
      },
      onRetry: () => {},
      knownDefinitions: () => [],
      until,
    };
    const runner = new PartitionRunner(this.#spec, deps, this.#metrics, partition, TOKEN);
    await runner.ended;
    if (failure !== undefined) throw failure;
  }

  /** Ticks, requests of sweeps and dead letters are what every repeat says again. */
  #note(unsaid: Unsaid): void {
    const kind = unsaid.subject.split('.')[2];
    if (kind === WIRING[this.#spec.stage].output || kind === 'handover') this.unsaid.push(unsaid);
  }
}

/** Reads as usual; of what would be published only records of the log are looked at. */
export function silenced(js: LogClient, note: (unsaid: Unsaid) => void): LogClient {
  const publish = async (subject: string, payload?: Uint8Array | string): Promise<PubAck> => {
    const records = subject.startsWith('log.') ? decodeFrame(payload as Uint8Array).records.length : 0;
    if (records > 0) note({ subject, records });
    return { stream: '', domain: '', seq: 0, duplicate: false };
  };
  return { consumers: js.consumers, jetstreamManager: (check) => js.jetstreamManager(check), publish };
}
