import { context, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { parseTraceParent } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { Counter, Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from './logger.ts';
import { CountedExporter, CountedProcessor } from './span-counts.ts';
import {
  activeTrace,
  batchSpan,
  callSpan,
  contextOf,
  sampledOf,
  traced,
  traceparentOf,
  traceWith,
  within,
} from './trace.ts';

const exporter = new InMemorySpanExporter();
const kind = SpanKind.CONSUMER;
const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');
const sampled = (number: number) => ({ traceId: hex(number, 32), spanId: hex(number, 16), traceFlags: 1 });

/** Nothing is traced but what somebody else began. */
function startTracing(): void {
  const sampler = new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0) });
  const provider = new TracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  traceWith({ tracer: provider.getTracer('test'), parse: parseTraceParent });
}

afterEach(() => {
  traceWith(undefined);
  context.disable();
  exporter.reset();
});

const lines: string[] = [];
const logger = createLogger({
  ...{ service: 's', replica: 'r', level: 'info' },
  destination: { write: (line) => lines.push(line) },
});
const lastLine = () => JSON.parse(lines.at(-1) as string);

test('off, there are no spans, and what is given to them runs all the same', async () => {
  expect(callSpan('x', kind, sampled(1), {})).toBeUndefined();
  expect(batchSpan('x', [sampled(1)], { kind, attributes: {} })).toBeUndefined();
  expect(contextOf(traceparentOf(sampled(1)))).toBeUndefined();
  expect(await traced(undefined, async () => activeTrace() ?? 'none')).toBe('none');
  logger.info('hello');
  expect(lastLine()).not.toHaveProperty('trace_id');
});

describe('on', () => {
  beforeEach(startTracing);

  test('what a header says comes back; what is no traceparent is none', () => {
    const context = sampled(7);
    expect(contextOf(traceparentOf(context))).toEqual({ ...context, isRemote: true });
    const unsampled = { ...context, traceFlags: 0 };
    expect(contextOf(traceparentOf(unsampled))).toEqual({ ...unsampled, isRemote: true });
    expect(sampledOf(traceparentOf(unsampled))).toBeUndefined();
    const bad = [
      '',
      'anna@example.com',
      `00-${hex(0, 32)}-${hex(1, 16)}-01`,
      `${traceparentOf(context)}${'-x'.repeat(99)}`,
    ];
    for (const text of [...bad, undefined, 5, ['00']]) expect(contextOf(text)).toBeUndefined();
  });

  test('a batch is a child of its first cause and names the others once, up to a number', () => {
    const causes = [1, 1, ...Array.from({ length: 100 }, (_, i) => i + 2)].map(sampled);
    batchSpan('batch', causes, { kind, attributes: {} })?.end();
    const [span] = exporter.getFinishedSpans();
    expect(span?.parentSpanContext?.spanId).toBe(hex(1, 16));
    expect(span?.spanContext().traceId).toBe(hex(1, 32));
    expect(span?.links.map(({ context }) => context.spanId)).toEqual(
      Array.from({ length: 32 }, (_, i) => hex(i + 2, 16)),
    );
  });

  test('what the sampler does not want is no batch span, and is passed on with calls', () => {
    expect(batchSpan('batch', [], { kind, attributes: {} })).toBeUndefined();
    const call = callSpan('call', SpanKind.SERVER, { ...sampled(3), traceFlags: 0 }, {});
    expect(call?.isRecording()).toBe(false);
    expect(traceparentOf(call?.spanContext() ?? sampled(1))).toMatch(new RegExp(`^00-${hex(3, 32)}-.*-00$`));
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  test('log lines name the open span, across awaits; those of others do not', async () => {
    const span = callSpan('call', SpanKind.SERVER, sampled(9), {});
    const other = within(undefined, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      logger.info('other');
      return lastLine();
    });
    const own = await traced(span, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(activeTrace()?.traceId).toBe(hex(9, 32));
      expect(within(undefined, activeTrace)).toBeUndefined();
      logger.info({ partition: 1 }, 'own');
      return lastLine();
    });
    expect(own).toMatchObject({ trace_id: hex(9, 32), span_id: span?.spanContext().spanId, partition: 1, msg: 'own' });
    expect(await other).not.toHaveProperty('trace_id');
    expect(trace.getSpan(context.active())).toBeUndefined();
  });

  test('a failure is told by its kind: its words may quote somebody', async () => {
    const work = traced(callSpan('call', SpanKind.SERVER, sampled(9), {}), () =>
      Promise.reject(new TypeError('no such mailbox: anna@example.com')),
    );
    await expect(work).rejects.toThrow('anna');
    const [span] = exporter.getFinishedSpans();
    expect(span).toMatchObject({ attributes: { 'error.type': 'TypeError' }, status: { code: 2 }, events: [] });
    expect(JSON.stringify([span?.attributes, span?.status, span?.events])).not.toContain('anna');
  });
});

test('spans that do not fit, or that nobody takes, are counted', async () => {
  const registry = new Registry();
  const outcomes = new Counter({ name: 'spans', help: '-', labelNames: ['outcome'], registers: [registry] });
  let answer: (() => void) | undefined;
  let code = 1;
  const silent = {
    export: (_: unknown, done: (result: { code: number }) => void) => {
      answer = () => done({ code });
    },
    shutdown: async () => {},
  };
  const counted = new CountedExporter(silent, outcomes, logger);
  const batches = new BatchSpanProcessor({ exporter: counted, maxQueueSize: 4, maxExportBatchSize: 4 });
  const provider = new TracerProvider({ spanProcessors: [new CountedProcessor(batches, counted, 4, outcomes)] });
  const tracer = provider.getTracer('test');
  const values = async () =>
    Object.fromEntries((await outcomes.get()).values.map(({ labels, value }) => [labels.outcome, value]));
  for (let i = 0; i < 11; i++) tracer.startSpan('span').end();
  // Four are on their way, four wait, three are gone.
  expect(await values()).toEqual({ dropped: 3 });
  answer?.();
  expect(await values()).toEqual({ dropped: 3, failed: 4 });
  expect(lines.at(-1)).toContain('the collector takes no spans');
  code = 0;
  await expect
    .poll(async () => {
      answer?.();
      return values();
    })
    .toMatchObject({ exported: expect.any(Number) });
  expect(lines.at(-1)).toContain('takes spans again');
});
