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
  readonly seconds: Histogram<'channel' | 'result'>;
  private readonly outcomes: Counter<'channel' | 'status'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.open = new Gauge({ name: 'messaging_open_sends', help: 'Sends decided and not yet settled', registers });
    this.seconds = new Histogram({
      name: 'messaging_call_seconds',
      help: 'Duration of calls to providers by channel and result.',
      labelNames: ['channel', 'result'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.outcomes = new Counter({
      name: 'messaging_outcomes_total',
      help: 'Settled sends by channel and status.',
      labelNames: ['channel', 'status'],
      registers,
    });
  }

  outcome(channel: string, status: DeliveryStatus): void {
    this.outcomes.inc({ channel, status: NAMES[status] ?? 'other' });
  }
}
