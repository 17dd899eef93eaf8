import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import type { PartitionHandle, PendingWork } from '#lib/stream/processor.ts';
import type { BegunMarks } from '../store/begun-marks.ts';
import { ComposeError, type Composer } from './compose.ts';
import { backOffMs, type Job } from './job.ts';
import type { Mail } from './message.ts';
import type { OutboxMetrics } from './metrics.ts';
import { OutcomeWriter, type Settled } from './outcomes.ts';
import { Reconciler, type ReconcilerParts, type Verdicts } from './reconcile.ts';
import type { CallResult, SmtpTransport } from './smtp.ts';
import { Waits } from './waits.ts';

export interface OutboxParts extends ReconcilerParts {
  readonly composer: Pick<Composer, 'compose' | 'messageId'>;
  readonly transport: Pick<SmtpTransport, 'send'>;
  readonly marks: Pick<BegunMarks, 'add' | 'find'>;
  readonly metrics: OutboxMetrics;
  readonly connections: number;
  /** Of all waits; 1 when left out. */
  readonly pace?: number;
}

const LOST_PARTITION_KEEP_MS = 60_000;
const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED } = DeliveryStatus;

/**
 * Carries out decided sends: mark as begun (one write for a batch), write the mail, call, tell the log. What is not known
 * to have failed goes to the reconciler and is never just repeated.
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
  /** Waiting for a call; those before `taken` are done with. */
  private ready: Job[] = [];
  private taken = 0;
  private calls = 0;
  private pumping = false;
  private drained: (() => void) | undefined;

  constructor(parts: OutboxParts) {
    this.parts = parts;
    this.waits = new Waits(parts.pace);
    this.reconciler = new Reconciler(parts, this, this.waits);
    this.outcomes = new OutcomeWriter(
      (stored) => {
        for (const { key } of stored) this.jobs.delete(key);
        this.parts.metrics.open.set(this.jobs.size);
      },
      (lost) => this.keepUntold(lost),
    );
  }

  /** `StageSpec.onPending`. */
  readonly accept = (work: readonly PendingWork[], handle: PartitionHandle): void => {
    if (this.waits.stopped) return;
    const recovered: Job[] = [];
    for (const { key, customerId, bytes, recovered: again } of work) {
      const known = this.jobs.get(key);
      if (known) {
        this.adopt(known, handle);
        continue;
      }
      // `bytes` belong to the kit; decoding copies them.
      const job: Job = { key, customerId, work: SendWork.decode(bytes), handle, attempts: 0, lookups: 0 };
      this.jobs.set(key, job);
      if (again) recovered.push(job);
      else this.ready.push(job);
    }
    this.parts.metrics.open.set(this.jobs.size);
    if (recovered.length > 0) void this.reconciler.recover(recovered, handle);
    this.pump();
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
    if (this.calls > 0) {
      await new Promise<void>((resolve) => {
        this.drained = resolve;
      });
    }
    await this.outcomes.flush();
  }

  /** Takes batches as long as connections are free, so that many marks cost one write. */
  private pump(): void {
    if (this.pumping || this.waits.stopped) return;
    this.pumping = true;
    void this.pumpAll();
  }

  private async pumpAll(): Promise<void> {
    const { connections } = this.parts;
    while (!this.waits.stopped && this.taken < this.ready.length && this.calls < connections * 2) {
      const batch = this.take(connections * 4);
      if (batch.length > 0 && !(await this.mark(batch))) this.ready.push(...batch);
      else if (!this.waits.stopped) for (const job of batch) this.call(job);
    }
    // In the same turn as the last look at the loop's condition: whoever comes now pumps again.
    this.pumping = false;
  }

  /** The next jobs of partitions that are still ours. */
  private take(limit: number): Job[] {
    const batch: Job[] = [];
    while (batch.length < limit && this.taken < this.ready.length) {
      const job = this.ready[this.taken++] as Job;
      if (job.handle.owned) batch.push(job);
      else this.forget(job);
    }
    // Whenever half of it is used up, so that a long queue is not copied again and again.
    if (this.taken * 2 >= this.ready.length) {
      this.ready = this.ready.slice(this.taken);
      this.taken = 0;
    }
    return batch;
  }

  private async mark(batch: readonly Job[]): Promise<boolean> {
    const keys = Map.groupBy(batch, (job) => job.handle.partition);
    try {
      await this.parts.marks.add(
        new Map([...keys].map(([partition, jobs]) => [partition, jobs.map((job) => job.key)])),
      );
      return true;
    } catch (error) {
      this.parts.logger.warn({ err: error }, 'marks cannot be written; nothing is sent until they can');
      await this.waits.pause(500);
      return false;
    }
  }

  private call(job: Job): void {
    const mail = this.write(job);
    if (!mail) return;
    this.calls++;
    job.attempts++;
    const end = this.parts.metrics.seconds.startTimer();
    void this.parts.transport.send(mail).then((result) => {
      end({ result: result.kind });
      this.calls--;
      this.afterCall(job, result);
      if (this.calls === 0) this.drained?.();
      this.pump();
    });
  }

  /** The mail to send now; undefined when there is none to be sent, and why was told. */
  private write(job: Job): Mail | undefined {
    const { composer, live, now, logger } = this.parts;
    const { notAfterMs } = job.work;
    if (!job.handle.owned) this.forget(job);
    else if (live && notAfterMs > 0 && now() >= notAfterMs) this.settle(job, FAILED, 'too_late: quiet hours began');
    else {
      try {
        return composer.compose(job.work);
      } catch (error) {
        const known = error instanceof ComposeError;
        if (!known) logger.error({ err: error, key: job.key }, 'a mail cannot be written');
        this.settle(job, FAILED, known ? error.reason : 'template_error');
      }
    }
    return undefined;
  }

  private afterCall(job: Job, result: CallResult): void {
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
    this.ready.push(job);
    this.pump();
  }

  again(job: Job, reason: string): void {
    const wait = backOffMs(job.attempts, Math.random());
    if (wait === undefined) this.settle(job, FAILED, `gave up: ${reason}`);
    else this.waits.later(wait, () => this.send(job));
  }

  settle(job: Job, status: DeliveryStatus, reason: string, providerId = ''): void {
    const { key, customerId, handle, attempts, work } = job;
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
    this.parts.metrics.outcome(status);
    this.outcomes.add({ key, customerId, delivery, handle });
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
