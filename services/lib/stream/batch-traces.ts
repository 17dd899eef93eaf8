import type { TraceContext } from '#lib/telemetry/trace.ts';

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
