import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import type { PartitionHandle, PendingWork } from '#lib/stream/processor.ts';
import type { CallResult, Channel } from '../channels/channel.ts';
import type { BegunMarks } from '../store/begun-marks.ts';
import { backOffMs, type Job, newJob } from './job.ts';
import { Lane } from './lane.ts';
import type { OutboxMetrics } from './metrics.ts';
import { OutcomeWriter, type Settled } from './outcomes.ts';
import { Reconciler, type ReconcilerParts, type Verdicts } from './reconcile.ts';
import { Waits } from './waits.ts';

export interface OutboxParts extends ReconcilerParts {
  /** By name. */
  readonly channels: ReadonlyMap<string, Omit<Channel, 'close'>>;
  readonly marks: Pick<BegunMarks, 'add' | 'find'>;
  readonly metrics: OutboxMetrics;
  /** Of all waits; 1 when left out. */
  readonly pace?: number;
}

const LOST_PARTITION_KEEP_MS = 60_000;
const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;

/**
 * Carries out decided sends, each in the lane of its channel, and tells the log what became of them. What is not known to
 * have failed goes to the reconciler and is never just repeated.
 */
export class Outbox implements Verdicts {
  private readonly parts: OutboxParts;
  private readonly waits: Waits;
  private readonly outcomes: OutcomeWriter;
  private readonly reconciler: Reconciler;
  /** Everything accepted whose outcome is not in the log yet, by key. */
  private readonly jobs = new Map<string, Job>();
  /** Settled when the partition was lost: kept a while in case this process takes it again. */
  private readonly untold = new Map<string, Settled>();
  private readonly lanes: ReadonlyMap<string, Lane>;

  constructor(parts: OutboxParts) {
    this.parts = parts;
    this.waits = new Waits(parts.pace);
    this.reconciler = new Reconciler(parts, this, this.waits);
    const lane = (channel: Omit<Channel, 'close'>) => new Lane({ ...parts, channel, waits: this.waits, outbox: this });
    this.lanes = new Map([...parts.channels].map(([name, channel]) => [name, lane(channel)]));
    this.outcomes = new OutcomeWriter(
      (stored) => {
        for (const { key } of stored) this.jobs.delete(key);
        this.parts.metrics.open.set(this.jobs.size);
      },
      (lost) => this.keepUntold(lost),
    );
  }

  /** `StageSpec.onPending`. */
  readonly accept = (pending: readonly PendingWork[], handle: PartitionHandle): void => {
    if (this.waits.stopped) return;
    const recovered: Job[] = [];
    const fresh: Job[] = [];
    for (const { key, customerId, bytes, recovered: again, trace } of pending) {
      const known = this.jobs.get(key);
      if (known) {
        this.adopt(known, handle);
        continue;
      }
      // `bytes` belong to the kit; decoding copies them.
      const work = SendWork.decode(bytes);
      const job = newJob(key, customerId, work, handle, trace);
      this.jobs.set(key, job);
      if (again || this.reconciler.forgotten(job)) recovered.push(job);
      else fresh.push(job);
    }
    this.parts.metrics.open.set(this.jobs.size);
    if (recovered.length > 0) void this.reconciler.recover(recovered, handle);
    for (const job of fresh) this.queue(job);
    for (const lane of this.lanes.values()) lane.pump();
  };

  /** This very process is at it, or has its result: it goes on under the new lease. */
  private adopt(job: Job, handle: PartitionHandle): void {
    job.handle = handle;
    const untold = this.untold.get(job.key);
    if (!untold) return;
    this.untold.delete(job.key);
    untold.handle = handle;
    this.outcomes.add(untold);
  }

  /** Begins nothing new, waits for the calls under way and tells the log about them; after `graceMs` it goes without. */
  async stop(graceMs = 4000): Promise<void> {
    this.waits.stopped = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.told(), late]);
    clearTimeout(timer);
  }

  private async told(): Promise<void> {
    await Promise.all([...this.lanes.values()].map((lane) => lane.idle()));
    await this.outcomes.flush();
  }

  /** The answer to a call. */
  answered(job: Job, result: CallResult): void {
    switch (result.kind) {
      case 'accepted':
        this.settle(job, SENT, '', result.providerId);
        break;
      case 'refused':
        this.settle(job, FAILED, result.reason);
        break;
      case 'later':
        this.again(job, result.reason);
        break;
      case 'lost':
        this.reconciler.lost(job, result.reason);
    }
  }

  // Verdicts

  send(job: Job): void {
    this.queue(job)?.pump();
  }

  private queue(job: Job): Lane | undefined {
    const lane = this.lanes.get(channelOf(job));
    // Decided by a process that had a channel this one was not given.
    if (!lane) this.settle(job, FAILED, 'channel_unsupported');
    return lane?.add(job);
  }

  again(job: Job, reason: string): void {
    const wait = backOffMs(job.attempts, Math.random());
    if (wait === undefined) this.settle(job, FAILED, `gave up: ${reason}`);
    else this.waits.later(wait, () => this.send(job));
  }

  settle(job: Job, known: DeliveryStatus, reason: string, providerId = ''): void {
    // What became of an earlier call, an answer to a later one does not say.
    const status = known === FAILED && job.unsure ? UNKNOWN : known;
    const { key, customerId, handle, attempts, work, trace } = job;
    const {
      idempotencyKey = key,
      journeyId,
      enrolmentId,
      nodeId,
      channel,
      templateId,
      purpose,
      variant,
    } = work.request ?? {};
    const delivery = Delivery.fromPartial({
      ...{ idempotencyKey, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant },
      ...{ status, reason, providerId, attempts },
    });
    this.parts.metrics.outcome(channelOf(job), status);
    this.outcomes.add({ key, customerId, delivery, handle, trace });
  }

  /** Another owner will find it pending. */
  forget(job: Job): void {
    this.jobs.delete(job.key);
    this.parts.metrics.open.set(this.jobs.size);
  }

  private keepUntold(lost: readonly Settled[]): void {
    for (const settled of lost) {
      const current = this.jobs.get(settled.key)?.handle;
      if (current?.owned) {
        settled.handle = current;
        this.outcomes.add(settled);
      } else this.untold.set(settled.key, settled);
    }
    this.waits.later(LOST_PARTITION_KEEP_MS, () => {
      for (const { key } of lost) if (this.untold.delete(key)) this.jobs.delete(key);
    });
  }
}

function channelOf(job: Job): string {
  return job.work.request?.channel ?? '';
}
