import { SpanKind } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { failPoint } from '#lib/stream/fail-points.ts';
import { batchSpan, within } from '#lib/telemetry/trace.ts';
import { type CallResult, type Channel, ComposeError } from '../channels/channel.ts';
import type { BegunMarks } from '../store/begun-marks.ts';
import { isRepeatable, type Job } from './job.ts';
import type { OutboxMetrics } from './metrics.ts';
import { Pace } from './pace.ts';
import type { Waits } from './waits.ts';

/** Its fail points: not marked yet, marked and not called, called and not told, told (outcomes.ts). */
export const OUTBOX = 'messaging-outbox';

export interface LaneParts {
  readonly channel: Omit<Channel, 'close'>;
  readonly marks: Pick<BegunMarks, 'add'>;
  readonly metrics: OutboxMetrics;
  readonly logger: Logger;
  readonly waits: Waits;
  /** Whether the cluster lives on wall time. */
  readonly live: boolean;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly outbox: {
    answered(job: Job, result: CallResult): void;
    settle(job: Job, status: DeliveryStatus, reason: string): void;
    forget(job: Job): void;
  };
}

/**
 * The queue of one channel, so that a slow provider holds up nobody else: mark as begun (one write for a batch), write the
 * message, call. Batches are taken as long as connections are free and the provider's rate allows.
 */
export class Lane {
  private readonly parts: LaneParts;
  private readonly pace: Pace;
  /** Waiting for a call; those before `taken` are done with. */
  private ready: Job[] = [];
  private taken = 0;
  private calls = 0;
  private pumping = false;
  private drained: (() => void) | undefined;

  constructor(parts: LaneParts) {
    this.parts = parts;
    this.pace = new Pace(parts.channel.perSecond);
  }

  /** `pump` begins with it. */
  add(job: Job): this {
    this.ready.push(job);
    return this;
  }

  /** Resolves once no call is under way. */
  async idle(): Promise<void> {
    if (this.calls === 0) return;
    await new Promise<void>((resolve) => {
      this.drained = resolve;
    });
  }

  /** Takes batches as long as connections are free, so that many marks cost one write. */
  pump(): void {
    if (this.pumping || this.parts.waits.stopped) return;
    this.pumping = true;
    void this.pumpAll();
  }

  private async pumpAll(): Promise<void> {
    const { waits, channel } = this.parts;
    while (!waits.stopped && this.taken < this.ready.length && this.calls < channel.connections * 2) {
      const wait = this.pace.waitMs(performance.now());
      if (wait > 0) {
        await new Promise((resolve) => setTimeout(resolve, wait).unref());
        continue;
      }
      const batch = this.take(Math.min(channel.connections * 4, this.pace.available));
      this.pace.spend(batch.length);
      if (batch.length > 0 && !(await this.mark(batch))) this.ready.push(...batch);
      else if (!waits.stopped) for (const job of batch) this.call(job);
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
      else this.parts.outbox.forget(job);
    }
    // Whenever half of it is used up, so that a long queue is not copied again and again.
    if (this.taken * 2 >= this.ready.length) {
      this.ready = this.ready.slice(this.taken);
      this.taken = 0;
    }
    return batch;
  }

  private async mark(batch: readonly Job[]): Promise<boolean> {
    failPoint(OUTBOX, 'after_read');
    const keys = Map.groupBy(batch, (job) => job.handle.partition);
    try {
      await this.parts.marks.add(
        new Map([...keys].map(([partition, jobs]) => [partition, jobs.map((job) => job.key)])),
      );
      return true;
    } catch (error) {
      this.parts.logger.warn({ err: error }, 'marks cannot be written; nothing is sent until they can');
      await this.parts.waits.pause(500);
      return false;
    }
  }

  private call(job: Job): void {
    const { channel, metrics, outbox } = this.parts;
    const message = this.write(job);
    if (message === undefined) return;
    this.calls++;
    job.attempts++;
    job.firstCallMs ||= this.parts.now();
    const end = metrics.seconds.startTimer({ channel: channel.name });
    const span = spanOf(job, channel.name);
    failPoint(OUTBOX, 'before_publish');
    void within(span, () => channel.call(message)).then((result) => {
      failPoint(OUTBOX, 'after_publish');
      end({ result: result.kind });
      span?.setAttribute('recur.result', result.kind);
      span?.end();
      job.trace = span?.spanContext();
      this.calls--;
      outbox.answered(job, result);
      if (this.calls === 0) this.drained?.();
      this.pump();
    });
  }

  /** The message to send now; undefined when there is none to be sent, and why was told. */
  private write(job: Job): unknown {
    const { channel, live, now, logger, outbox } = this.parts;
    const { notAfterMs } = job.work;
    const failed = DeliveryStatus.DELIVERY_STATUS_FAILED;
    if (!job.handle.owned) outbox.forget(job);
    else if (live && notAfterMs > 0 && now() >= notAfterMs) outbox.settle(job, failed, 'too_late: quiet hours began');
    else if (job.unsure && !isRepeatable(job, channel, now())) outbox.settle(job, failed, 'the answer was lost');
    else {
      try {
        return channel.compose(job);
      } catch (error) {
        const known = error instanceof ComposeError;
        if (!known) logger.error({ err: error, key: job.key }, 'a message cannot be written');
        outbox.settle(job, failed, known ? error.reason : 'template_error');
      }
    }
    return undefined;
  }
}

/** Of one call to a provider: who gets the message is not said. */
function spanOf({ trace, attempts, work }: Job, channel: string) {
  if (trace === undefined) return undefined;
  const attributes = { 'recur.attempt': attempts, 'recur.template': work.request?.templateId ?? '' };
  return batchSpan(`${channel} send`, [trace], { kind: SpanKind.CLIENT, attributes });
}
