import { type Span, SpanKind } from '@opentelemetry/api';
import { batchSpan, type TraceContext } from '#lib/telemetry/trace.ts';
import type { BatchInput } from './batch.ts';

interface Placed {
  /** The first item it bears on. */
  readonly seq: number;
  readonly trace: TraceContext;
}

/** Spans that wrote the frames read and not yet worked on. Empty, and nearly free, unless some of them are recorded. */
export class BatchTraces {
  private items: Placed[] = [];
  private upstreams: Placed[] = [];

  item(seq: number, trace: TraceContext): void {
    this.items.push({ seq, trace });
  }

  upstream(seq: number, trace: TraceContext): void {
    this.upstreams.push({ seq, trace });
  }

  /** Those of a batch that ends in this frame: what upstream made of it is nearer to us than the event itself. */
  take(throughSeq: number): TraceContext[] {
    if (this.items.length === 0 && this.upstreams.length === 0) return [];
    const taken: TraceContext[] = [];
    const rest = (placed: Placed[]) =>
      placed.filter(({ seq, trace }) => {
        if (seq > throughSeq) return true;
        taken.push(trace);
        return false;
      });
    this.upstreams = rest(this.upstreams);
    this.items = rest(this.items);
    return taken;
  }
}

/** One span for the whole batch, because of the frames it is made of or, now and then, of timers. */
export function traceOfBatch(
  stage: string,
  partition: number,
  { steps, due }: Pick<BatchInput<unknown>, 'steps' | 'due'>,
  causes: readonly TraceContext[],
  startedAt: number,
): Span | undefined {
  if (causes.length === 0 && due.length === 0) return undefined;
  return batchSpan(`${stage} batch`, causes, {
    kind: SpanKind.CONSUMER,
    startedAt,
    attributes: {
      'messaging.system': 'nats',
      'messaging.batch.message_count': steps.length,
      'recur.partition': partition,
      'recur.timers': due.length,
    },
  });
}
