import type { Settings } from './settings.ts';

export const SAMPLERS = [
  'parentbased_traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'traceidratio',
  'always_on',
  'always_off',
] as const;

/** Where spans go and how many are taken: the environment variables of OpenTelemetry, as far as they matter here. */
export interface TracingConfig {
  /** OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces. OTLP over HTTP, protobuf. */
  readonly url: string;
  /** OTEL_TRACES_SAMPLER. `parentbased_…` does as a request says that is being traced already; the others do not. */
  readonly sampler: (typeof SAMPLERS)[number];
  /** OTEL_TRACES_SAMPLER_ARG: share of requests traced, 0 to 1. A hundredth unless set: OpenTelemetry's own default is all. */
  readonly ratio: number;
  /** OTEL_BSP_MAX_QUEUE_SIZE: spans that wait to be sent; what comes beyond is dropped and counted. */
  readonly maxQueue: number;
  /** OTEL_BSP_SCHEDULE_DELAY: longest a span waits for others, ms. */
  readonly delayMs: number;
  /** OTEL_EXPORTER_OTLP_TIMEOUT: longest one export may take, with its repeats, ms. */
  readonly timeoutMs: number;
  /** OTEL_EXPORTER_OTLP_HEADERS: for a collector that asks who we are. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Undefined, and nothing is traced, without an endpoint, or with OTEL_SDK_DISABLED=true. */
export function readTracing(settings: Settings): TracingConfig | undefined {
  const absent = { otherwise: undefined };
  const protocols = ['http:', 'https:'];
  const base = settings.url('OTEL_EXPORTER_OTLP_ENDPOINT', protocols, absent);
  const url = settings.url('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', protocols, absent);
  const disabled = settings.oneOf('OTEL_SDK_DISABLED', ['true', 'false'], { otherwise: 'false' }) === 'true';
  // Only to refuse what we would not do: a collector on the gRPC port would never hear from us.
  settings.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf'], absent);
  const ratio = settings.text('OTEL_TRACES_SAMPLER_ARG', {
    otherwise: '0.01',
    pattern: /^(0(\.\d{1,9})?|1(\.0{1,9})?)$/,
    rule: 'must be a number from 0 to 1, such as 0.05',
  });
  const config = {
    sampler: settings.oneOf('OTEL_TRACES_SAMPLER', SAMPLERS, { otherwise: SAMPLERS[0] }),
    ratio: Number(ratio),
    maxQueue: settings.integer('OTEL_BSP_MAX_QUEUE_SIZE', { min: 512, max: 100_000, otherwise: 4_096 }),
    delayMs: settings.integer('OTEL_BSP_SCHEDULE_DELAY', { min: 10, max: 60_000, otherwise: 2_000 }),
    timeoutMs: settings.integer('OTEL_EXPORTER_OTLP_TIMEOUT', { min: 100, max: 60_000, otherwise: 10_000 }),
    headers: readHeaders(settings),
  };
  const to = url ?? (base === undefined ? undefined : `${base.replace(/\/+$/, '')}/v1/traces`);
  return disabled || to === undefined ? undefined : { url: to, ...config };
}

/** `name=value,name=value`, values percent-encoded. They may be keys: no error shows them. */
function readHeaders(settings: Settings): Record<string, string> {
  const name = 'OTEL_EXPORTER_OTLP_HEADERS';
  const headers: Record<string, string> = {};
  for (const pair of settings.text(name, { otherwise: '' }).split(',')) {
    if (pair.trim() === '') continue;
    const [, key, value] = /^\s*([\w-]{1,64})=([\x21-\x7e]{1,2048})\s*$/.exec(pair) ?? [];
    try {
      if (key === undefined || value === undefined) throw new Error();
      headers[key] = decodeURIComponent(value);
    } catch {
      settings.problem(name, 'must be name=value pairs, separated by commas, values percent-encoded', () => '(hidden)');
    }
  }
  return headers;
}
