import type { TraceContext } from '#lib/telemetry/trace.ts';
import { subjects } from '#lib/topology/topology.ts';
import { BatchTraces } from './batch-traces.ts';
import { decodeFrame, type LogRecord } from './frames.ts';
import type { LogMessage, LogReader } from './log-reader.ts';
import { type ClockMode, type ItemFrame, type Step, stepsOf } from './steps.ts';

/**
 * Hands out the steps of a partition in order. With an upstream stage, an item is ready only when upstream has covered it,
 * and what upstream made of it comes along.
 */
export class Join {
  private readonly options: JoinOptions;
  private steps: Step[] = [];
  private at = 0;
  private upstreamThrough = 0;
  private upstreamRecords: LogRecord[] = [];
  private upstreamAt = 0;
  private readonly traces = new BatchTraces();
  private clock: number;
  private skip: number;
  private ended = false;
  private readonly ownDefinitions: string;
  private readonly ownHandover: string;
  private readonly outcome: string;
  private readonly tick: string;

  constructor(options: JoinOptions) {
    this.options = options;
    this.clock = options.clock;
    this.skip = options.skipSteps;
    const { partition, stage } = options;
    this.ownDefinitions = subjects.definition(partition, stage);
    this.ownHandover = subjects.handover(partition, stage, '*').slice(0, -1);
    this.outcome = subjects.log(partition, 'outcome');
    this.tick = subjects.log(partition, 'tick');
  }

  /** The next steps in order, without taking them: at least `max` when there are that many. */
  fill(max: number): void {
    while (this.steps.length - this.at < max) {
      const item = this.options.items.peek();
      if (!item || this.beyond(item) || !this.ready(item)) return;
      this.options.items.take(1);
      this.append(item);
    }
  }

  /** Whether a fold up to a place ends before this item. */
  private beyond({ seq }: LogMessage): boolean {
    const { until } = this.options;
    return until !== undefined && seq > until.seq && (this.ended || until.steps === 0);
  }

  get available(): number {
    return this.steps.length - this.at;
  }

  peek(i: number): Step | undefined {
    return this.steps[this.at + i];
  }

  take(n: number): Step[] {
    const taken = this.steps.slice(this.at, this.at + n);
    this.at += n;
    if (this.at === this.steps.length) {
      this.steps = [];
      this.at = 0;
    }
    return taken;
  }

  /** The spans that wrote the frames with steps up to this one, upstream's first; each is told once. */
  takeTraces(throughSeq: number): TraceContext[] {
    return this.traces.take(throughSeq);
  }

  /** Calls back once when more may be available. */
  onArrival(callback: () => void): void {
    const { items, upstream } = this.options;
    if (upstream && items.length > 0) upstream.onArrival(callback);
    else items.onArrival(callback);
  }

  /** Nobody upstream reads outcomes: there is nothing to wait for. */
  private ready(item: LogMessage): boolean {
    return item.subject === this.outcome || this.covered(item.seq);
  }

  private covered(seq: number): boolean {
    const { upstream } = this.options;
    if (!upstream) return true;
    while (this.upstreamThrough < seq) {
      const [m] = upstream.take(1);
      if (!m) return false;
      const frame = decodeFrame(m.data);
      this.upstreamThrough = Math.max(this.upstreamThrough, frame.throughSeq);
      for (const r of frame.records) if (r.originSeq >= this.options.fromSeq) this.upstreamRecords.push(r);
      const first = frame.records[0];
      if (m.trace && first) this.traces.upstream(first.originSeq, m.trace);
    }
    return true;
  }

  private append(m: LogMessage): void {
    if (m.trace) this.traces.item(m.seq, m.trace);
    const item: ItemFrame = {
      seq: m.seq,
      storedAt: m.storedAt,
      frame: decodeFrame(m.data),
      foreign: this.isForeign(m.subject),
      clockless: m.subject !== this.tick && !m.subject.endsWith('.event'),
    };
    const steps = stepsOf(item, this.upstreamOf(m.seq), this.options.mode, this.clock);
    this.clock = steps.at(-1)?.time ?? this.clock;
    const { until } = this.options;
    this.ended = until !== undefined && m.seq > until.seq;
    for (const step of steps.slice(this.skip, this.ended ? until?.steps : undefined)) this.steps.push(step);
    this.skip = 0;
  }

  private isForeign(subject: string): boolean {
    if (subject.endsWith('.event') || subject === this.tick) return false;
    if (subject === this.outcome) return false;
    return subject !== this.ownDefinitions && !subject.startsWith(this.ownHandover);
  }

  private upstreamOf(seq: number): LogRecord[] {
    const all = this.upstreamRecords;
    while (this.upstreamAt < all.length && (all[this.upstreamAt] as LogRecord).originSeq < seq) this.upstreamAt++;
    const from = this.upstreamAt;
    while (this.upstreamAt < all.length && (all[this.upstreamAt] as LogRecord).originSeq === seq) this.upstreamAt++;
    const found = all.slice(from, this.upstreamAt);
    if (this.upstreamAt > 1024 || this.upstreamAt === all.length) {
      this.upstreamRecords = all.slice(this.upstreamAt);
      this.upstreamAt = 0;
    }
    return found;
  }
}

export interface JoinOptions {
  readonly stage: 'profile' | 'segmentation' | 'journey' | 'messaging';
  readonly partition: number;
  readonly mode: ClockMode;
  /** First item sequence wanted; upstream outputs of earlier items are dropped. */
  readonly fromSeq: number;
  /** Steps of that first item already done. */
  readonly skipSteps: number;
  readonly clock: number;
  readonly items: LogReader;
  readonly upstream: LogReader | undefined;
  /** Hand out nothing after this place. */
  readonly until?: Until | undefined;
}

/** A place in a partition's items: everything up to frame `seq`, and `steps` steps of the next. */
export interface Until {
  readonly seq: number;
  readonly steps: number;
}
