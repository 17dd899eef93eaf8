import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { DURATION_BUCKETS } from '#lib/telemetry/metrics.ts';

const NAMES: Partial<Record<DeliveryStatus, string>> = {
  [DeliveryStatus.DELIVERY_STATUS_SENT]: 'sent',
  [DeliveryStatus.DELIVERY_STATUS_FAILED]: 'failed',
  [DeliveryStatus.DELIVERY_STATUS_UNKNOWN]: 'unknown',
};

export class OutboxMetrics {
  /** Sends accepted and not yet settled. */
  readonly open: Gauge;
  readonly seconds: Histogram<'result'>;
  private readonly outcomes: Counter<'status'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.open = new Gauge({ name: 'messaging_open_sends', help: 'Sends decided and not yet settled', registers });
    this.seconds = new Histogram({
      name: 'messaging_call_seconds',
      help: 'Duration of calls to the e-mail provider by result.',
      labelNames: ['result'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.outcomes = new Counter({
      name: 'messaging_outcomes_total',
      help: 'Settled sends by status.',
      labelNames: ['status'],
      registers,
    });
  }

  outcome(status: DeliveryStatus): void {
    this.outcomes.inc({ status: NAMES[status] ?? 'other' });
  }
}
