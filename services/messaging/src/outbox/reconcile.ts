import type { Logger } from 'pino';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import type { PartitionHandle } from '#lib/stream/processor.ts';
import type { Channel, Found } from '../channels/channel.ts';
import { type BegunMarks, MARKS_RELIABLE_MS } from '../store/begun-marks.ts';
import { backOffMs, isRepeatable, type Job } from './job.ts';
import type { Waits } from './waits.ts';

export interface ReconcilerParts {
  /** By name. One without `find` cannot be asked: a lost answer of it stays unknown. */
  readonly channels: ReadonlyMap<string, Pick<Channel, 'find' | 'repeatableMs'>>;
  readonly marks: Pick<BegunMarks, 'find'>;
  readonly logger: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Whether the cluster lives on wall time. */
  readonly live: boolean;
  /** When the cluster was restored from a backup, ms; 0: never. What was decided before may have been sent, and no mark says so. */
  readonly restoredMs?: number;
  /** How long a mailbox may take to show what it accepted; 1.5 s when left out. */
  readonly settleMs?: number;
}

/** What becomes of a job once it is known. */
export interface Verdicts {
  /** The provider certainly does not have it, and was not called by us yet. */
  send(job: Job): void;
  /** The provider certainly does not have it: another attempt, if there is one left. */
  again(job: Job, reason: string): void;
  settle(job: Job, status: DeliveryStatus, reason: string, providerId?: string): void;
  forget(job: Job): void;
}

/**
 * Finds out about sends whose answer nobody has: the connection broke after the message was handed over, or the process
 * died. Nothing is repeated before it is known that the provider does not have it.
 */
export class Reconciler {
  private readonly parts: ReconcilerParts;
  private readonly verdicts: Verdicts;
  private readonly waits: Waits;

  constructor(parts: ReconcilerParts, verdicts: Verdicts, waits: Waits) {
    this.parts = parts;
    this.verdicts = verdicts;
    this.waits = waits;
  }

  /** Work of an earlier owner, who may have begun it. */
  async recover(jobs: readonly Job[], handle: PartitionHandle): Promise<void> {
    const begun = await this.marked(jobs, handle);
    for (const job of jobs) {
      const old = this.parts.live && this.parts.now() - job.work.decidedAtMs >= MARKS_RELIABLE_MS;
      job.mayHaveBegun = old || this.forgotten(job) || begun === undefined || begun.has(job.key);
      if (!begun) this.verdicts.forget(job);
      else if (this.finder(job)) this.ask(job);
      else if (job.mayHaveBegun) this.repeat(job, 'recovered: the answer is not known');
      else this.verdicts.send(job);
    }
  }

  /** Whether a life of the cluster that a backup knows nothing of may have sent it. */
  forgotten({ work }: Job): boolean {
    return this.parts.live && work.decidedAtMs <= (this.parts.restoredMs ?? 0);
  }

  /** The provider was given the message and did not answer. */
  lost(job: Job, reason: string): void {
    if (this.finder(job)) this.ask(job);
    else this.repeat(job, reason);
  }

  /** Under the same id, where that is the same message; else nobody will ever know. */
  private repeat(job: Job, reason: string): void {
    job.unsure = true;
    const channel = this.parts.channels.get(job.work.request?.channel ?? '');
    if (!this.parts.live || !channel || !isRepeatable(job, channel, this.parts.now())) this.unknown(job, reason);
    else if (job.attempts === 0) this.verdicts.send(job);
    else this.verdicts.again(job, reason);
  }

  private finder(job: Job): Channel['find'] {
    return this.parts.channels.get(job.work.request?.channel ?? '')?.find;
  }

  private async marked(jobs: readonly Job[], handle: PartitionHandle): Promise<Set<string> | undefined> {
    const keys = jobs.map((job) => job.key);
    while (handle.owned && !this.waits.stopped) {
      try {
        return await this.parts.marks.find(handle.partition, keys);
      } catch (error) {
        this.parts.logger.warn({ err: error, partition: handle.partition }, 'marks cannot be read');
        await this.waits.pause(500);
      }
    }
    return undefined;
  }

  /** Once the provider had time to show what it took. */
  private ask(job: Job): void {
    this.waits.later(this.parts.settleMs ?? 1500, () => void this.lookUp(job));
  }

  private async lookUp(job: Job): Promise<void> {
    if (!job.handle.owned) return this.verdicts.forget(job);
    const found = await this.found(job);
    switch (found?.kind) {
      case undefined:
        this.askAgain(job, 'the lookup does not answer');
        break;
      case 'not seen':
        if (job.attempts === 0 && !job.mayHaveBegun) this.verdicts.send(job);
        else this.askAgain(job, 'the answer was lost, and the provider does not show the message');
        break;
      case 'has':
        this.verdicts.settle(job, DeliveryStatus.DELIVERY_STATUS_SENT, found.reason, found.providerId);
        break;
      case 'refused':
        this.verdicts.settle(job, DeliveryStatus.DELIVERY_STATUS_FAILED, found.reason);
        break;
      case 'has not':
        job.lookups = 0;
        if (job.attempts === 0) this.verdicts.send(job);
        else this.verdicts.again(job, 'the answer was lost');
    }
  }

  private askAgain(job: Job, reason: string): void {
    const wait = backOffMs(++job.lookups, Math.random());
    if (wait === undefined) this.unknown(job, reason);
    else this.waits.later(wait, () => void this.lookUp(job));
  }

  /** Undefined when there is no answer. */
  private async found(job: Job): Promise<Found | undefined> {
    try {
      return await this.finder(job)?.(job);
    } catch (error) {
      this.parts.logger.warn({ err: error, key: job.key }, 'the lookup does not answer');
      return undefined;
    }
  }

  private unknown(job: Job, reason: string): void {
    this.verdicts.settle(job, DeliveryStatus.DELIVERY_STATUS_UNKNOWN, reason);
  }
}
