import type { Context } from '@opentelemetry/api';
import type { ExportResult } from '@opentelemetry/core';
import type { ReadableSpan, Span, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Counter } from 'prom-client';
import type { Logger } from './logger.ts';

/** Counts what a collector takes and what not, and says once when that changes. */
export class CountedExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #outcomes: Counter;
  readonly #logger: Logger;
  #failing = false;
  /** Told how many spans leave the queue. */
  onTaken: (spans: number) => void = () => {};

  constructor(inner: SpanExporter, outcomes: Counter, logger: Logger) {
    this.#inner = inner;
    this.#outcomes = outcomes;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.onTaken(spans.length);
    this.#inner.export(spans, (result) => {
      // 0 is ExportResultCode.SUCCESS.
      const failed = result.code !== 0;
      this.#outcomes.inc({ outcome: failed ? 'failed' : 'exported' }, spans.length);
      if (failed && !this.#failing) this.#logger.warn({ err: result.error?.message }, 'the collector takes no spans');
      if (!failed && this.#failing) this.#logger.info('the collector takes spans again');
      this.#failing = failed;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush?.() ?? Promise.resolve();
  }
}

/** In front of the queue of a BatchSpanProcessor: drops what would not fit, and counts it, which that one keeps to itself. */
export class CountedProcessor implements SpanProcessor {
  readonly #inner: SpanProcessor;
  readonly #outcomes: Counter;
  readonly #limit: number;
  #waiting = 0;

  constructor(inner: SpanProcessor, exporter: CountedExporter, limit: number, outcomes: Counter) {
    this.#inner = inner;
    this.#limit = limit;
    this.#outcomes = outcomes;
    exporter.onTaken = (spans) => {
      this.#waiting -= spans;
    };
  }

  onStart(span: Span, parent: Context): void {
    this.#inner.onStart(span, parent);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#limit) {
      this.#outcomes.inc({ outcome: 'dropped' });
      return;
    }
    this.#waiting++;
    this.#inner.onEnd(span);
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush();
  }
}
