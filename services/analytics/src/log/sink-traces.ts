import { SpanKind } from '@opentelemetry/api';
import { batchSpan, type TraceContext } from '#lib/telemetry/trace.ts';

/** Batches that wait for their rows to be stored; what comes beyond is not told of. */
const MAX_WAITING = 256;

/** Spans of what happens after a batch was taken: its rows wait for others, and go into ClickHouse with them. */
export class SinkTraces {
  #waiting: { readonly trace: TraceContext; readonly seq: number; readonly at: number }[] = [];

  /** A batch whose span is recorded was taken; its last frame is `seq`. */
  taken(trace: TraceContext, seq: number): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ trace, seq, at: performance.now() });
  }

  written(throughSeq: number): void {
    const [first] = this.#waiting;
    if (first === undefined || first.seq > throughSeq) return;
    const stored = this.#waiting.filter(({ seq }) => seq <= throughSeq);
    this.#waiting = this.#waiting.slice(stored.length);
    const causes = stored.map(({ trace }) => trace);
    const attributes = { 'db.system.name': 'clickhouse', 'recur.through_seq': throughSeq };
    batchSpan('analytics store', causes, { kind: SpanKind.CLIENT, startedAt: first.at, attributes })?.end();
  }
}
