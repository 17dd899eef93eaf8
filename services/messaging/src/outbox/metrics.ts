import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { DURATION_BUCKETS } from '#lib/telemetry/metrics.ts';

const NAMES: Partial<Record<DeliveryStatus, string>> = {
  [DeliveryStatus.DELIVERY_STATUS_SENT]: 'sent',
  [DeliveryStatus.DELIVERY_STATUS_FAILED]: 'failed',
  [DeliveryStatus.DELIVERY_STATUS_UNKNOWN]: 'unknown',
};

const MAX_PAIRS = 500;

export class OutboxMetrics {
  /** Sends accepted and not yet settled. */
  readonly open: Gauge;
  readonly seconds: Histogram<'channel' | 'result'>;
  private readonly missing: Counter<'template' | 'variable'>;
  private readonly pairs = new Set<string>();
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
    this.missing = new Counter({
      name: 'messaging_missing_variables_total',
      help: 'Variables that printed nothing where the template has no default, by template and variable, per writing of a message.',
      labelNames: ['template', 'variable'],
      registers,
    });
    this.outcomes = new Counter({
      name: 'messaging_outcomes_total',
      help: 'Settled sends by channel and status.',
      labelNames: ['channel', 'status'],
      registers,
    });
  }

  /** Variables that printed nothing, of one message. Beyond so many pairs of template and variable they count as `other`. */
  missingVariables(template: string, variables: readonly string[]): void {
    for (const variable of variables) {
      const pair = `${template} ${variable}`;
      if (this.pairs.size < MAX_PAIRS) this.pairs.add(pair);
      this.missing.inc(this.pairs.has(pair) ? { template, variable } : { template: 'other', variable: 'other' });
    }
  }

  outcome(channel: string, status: DeliveryStatus): void {
    this.outcomes.inc({ channel, status: NAMES[status] ?? 'other' });
  }
}
