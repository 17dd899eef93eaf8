import type { Sampler, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { Counter, type Registry } from 'prom-client';
import type { TracingConfig } from '#lib/config/tracing.ts';
import type { Logger } from './logger.ts';
import { CountedExporter, CountedProcessor } from './span-counts.ts';
import { traceWith } from './trace.ts';

/** Spans of one export. */
const MAX_BATCH = 512;

export interface TracingParts {
  readonly service: string;
  readonly replica: string;
  readonly registry: Registry;
  readonly logger: Logger;
}

export interface RunningTracing {
  /** Sends what waits, for so long at most, and traces nothing more. */
  stop(leftMs: number): Promise<void>;
}

/** Traces from here on. The SDK is loaded only now: a process that traces nothing does not pay for it. */
export async function startTracing(config: TracingConfig, parts: TracingParts): Promise<RunningTracing> {
  const [api, core, sdk, hooks, exporters, resources, names] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/semantic-conventions'),
  ]);
  const { url, headers, timeoutMs, maxQueue, delayMs } = config;
  const outcomes = new Counter({
    name: 'recur_trace_spans_total',
    help: 'Spans by what became of them: exported, failed (the collector did not take them), dropped (too many waited)',
    labelNames: ['outcome'],
    registers: [parts.registry],
  });
  for (const outcome of ['exported', 'failed', 'dropped']) outcomes.inc({ outcome }, 0);
  const exporter: SpanExporter = new exporters.OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: timeoutMs,
  });
  const counted = new CountedExporter(exporter, outcomes, parts.logger);
  const batches = new sdk.BatchSpanProcessor({
    exporter: counted,
    maxQueueSize: maxQueue,
    maxExportBatchSize: MAX_BATCH,
    scheduledDelayMillis: delayMs,
    exportTimeoutMillis: timeoutMs + 1_000,
  });
  const processor: SpanProcessor = new CountedProcessor(batches, counted, maxQueue, outcomes);
  const provider = new sdk.TracerProvider({
    sampler: samplerOf(config, sdk),
    spanProcessors: [processor],
    resource: resources.resourceFromAttributes({
      [names.ATTR_SERVICE_NAMESPACE]: 'recur',
      [names.ATTR_SERVICE_NAME]: parts.service,
      [names.ATTR_SERVICE_INSTANCE_ID]: parts.replica,
    }),
  });
  api.context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  traceWith({ tracer: provider.getTracer('recur'), parse: core.parseTraceParent });
  parts.logger.info({ sampler: config.sampler, ratio: config.ratio }, 'tracing');
  return {
    stop: async (leftMs) => {
      traceWith(undefined);
      // A collector that is away must not hold up the end of a process: what it did not take by then is lost.
      await Promise.race([provider.shutdown().catch(() => {}), new Promise((resolve) => setTimeout(resolve, leftMs))]);
      api.context.disable();
    },
  };
}

function samplerOf({ sampler, ratio }: TracingConfig, sdk: typeof import('@opentelemetry/sdk-trace')): Sampler {
  const [, parentBased, root] = /^(parentbased_)?(.*)$/.exec(sampler) as RegExpExecArray;
  const own =
    root === 'always_on'
      ? new sdk.AlwaysOnSampler()
      : root === 'always_off'
        ? new sdk.AlwaysOffSampler()
        : new sdk.TraceIdRatioBasedSampler(ratio);
  return parentBased === undefined ? own : new sdk.ParentBasedSampler({ root: own });
}
