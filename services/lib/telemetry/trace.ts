import {
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';

/** Which span something belongs to: what a `traceparent` says. */
export type TraceContext = SpanContext;

/** Other spans a span names as its causes, beyond its parent. */
const MAX_LINKS = 32;

/** What `startTracing` found in the SDK; undefined while nothing is traced. */
interface Tracing {
  readonly tracer: Tracer;
  readonly parse: (traceparent: string) => TraceContext | null;
}
let tracing: Tracing | undefined;

/** From here on, or (undefined) no longer. Only `startTracing` calls this. */
export function traceWith(parts: Tracing | undefined): void {
  tracing = parts;
}

export const isTracing = (): boolean => tracing !== undefined;

/** What came in a `traceparent`; undefined when that is none, or nothing is traced here. `tracestate` is not passed on: it may hold anything. */
export function contextOf(traceparent: unknown): TraceContext | undefined {
  if (tracing === undefined || typeof traceparent !== 'string' || traceparent.length > 128) return undefined;
  const parsed = tracing.parse(traceparent);
  return parsed === null ? undefined : { ...parsed, isRemote: true };
}

/** The same, when it is to be followed; frames that are not traced carry none. */
export function sampledOf(traceparent: unknown): TraceContext | undefined {
  const found = contextOf(traceparent);
  return found !== undefined && isSampled(found) ? found : undefined;
}

export const traceparentOf = ({ traceId, spanId, traceFlags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01'}`;

const isSampled = ({ traceFlags }: TraceContext): boolean => (traceFlags & TraceFlags.SAMPLED) !== 0;

/** The span that is open around us, when it is recorded. */
export function activeTrace(): TraceContext | undefined {
  if (tracing === undefined) return undefined;
  const active = trace.getSpanContext(context.active());
  return active !== undefined && isSampled(active) ? active : undefined;
}

/** For log lines: which trace they belong to. A new object each time. */
export function traceFields(): Record<string, string> {
  const active = tracing === undefined ? undefined : trace.getSpanContext(context.active());
  return active === undefined ? {} : { trace_id: active.traceId, span_id: active.spanId };
}

/**
 * A span for one call, here (SERVER) or to somebody else (CLIENT). Not recorded when the caller, or without one the sampler,
 * says so; its context is to be passed on all the same, so that nobody further on decides anew. Undefined: nothing is traced.
 *
 * @param parent the open span when left out
 */
export function callSpan(
  name: string,
  kind: SpanKind,
  parent: TraceContext | undefined,
  attributes: SpanOptions['attributes'],
): Span | undefined {
  if (tracing === undefined) return undefined;
  const around = parent === undefined ? context.active() : trace.setSpanContext(ROOT_CONTEXT, parent);
  return tracing.tracer.startSpan(name, { kind, ...(attributes && { attributes }) }, around);
}

export interface BatchSpanOptions {
  readonly kind: SpanKind;
  /** Of `performance.now()`; now when left out. */
  readonly startedAt?: number;
  readonly attributes: SpanOptions['attributes'];
}

/**
 * One span for work on many things at once: a child of the first of `causes`, linked to the others, as far as their number
 * is bounded. Undefined when it is not recorded.
 *
 * @param causes those that are sampled; with none it begins a trace of its own, if the sampler wants that
 */
export function batchSpan(name: string, causes: readonly TraceContext[], options: BatchSpanOptions): Span | undefined {
  if (tracing === undefined) return undefined;
  const { kind, startedAt, attributes } = options;
  const [parent, ...others] = causes;
  const links: Link[] = [];
  const named = new Set([parent?.spanId]);
  for (const other of others) {
    if (links.length === MAX_LINKS) break;
    if (named.has(other.spanId)) continue;
    named.add(other.spanId);
    links.push({ context: other });
  }
  const around = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  const start = startedAt === undefined ? {} : { startTime: performance.timeOrigin + startedAt };
  const span = tracing.tracer.startSpan(name, { kind, links, ...(attributes && { attributes }), ...start }, around);
  return span.isRecording() ? span : undefined;
}

/** Runs `work` with the span open around it, or (undefined) with none: what it begins must not count for somebody else's. */
export function within<T>(span: Span | undefined, work: () => T): T {
  if (tracing === undefined) return work();
  return context.with(span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span), work);
}

/** `within`, and the span ends with the work, failed when that did. */
export async function traced<T>(span: Span | undefined, work: () => Promise<T>): Promise<T> {
  if (span === undefined) return within(span, work);
  try {
    return await within(span, work);
  } catch (error) {
    failed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Says of what kind the error is, never its words: they may quote somebody's data. */
export function failed(span: Span, error: unknown): void {
  span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
