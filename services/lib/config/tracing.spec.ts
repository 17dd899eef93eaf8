import { expect, test } from 'vitest';
import { type ConfigError, Settings } from './settings.ts';
import { readTracing } from './tracing.ts';

function read(env: Record<string, string>) {
  const settings = new Settings(env);
  const config = readTracing(settings);
  settings.finish();
  return config;
}

test('nothing is traced unless somebody says where to', () => {
  expect(read({})).toBeUndefined();
  expect(read({ OTEL_TRACES_SAMPLER_ARG: '1' })).toBeUndefined();
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318';
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT })).toMatchObject({
    url: 'http://collector:4318/v1/traces',
    sampler: 'parentbased_traceidratio',
    ratio: 0.01,
    headers: {},
  });
  const own = read({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/in' });
  expect(own?.url).toBe('https://traces.example/in');
  const OTEL_EXPORTER_OTLP_HEADERS = 'x-key=s%3Decret, tenant=shop';
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS })?.headers).toEqual({
    'x-key': 's=ecret',
    tenant: 'shop',
  });
});

test('what cannot be used is named, keys are not shown', () => {
  const bad = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '5',
    OTEL_BSP_MAX_QUEUE_SIZE: '1',
    OTEL_EXPORTER_OTLP_HEADERS: 'the secret key',
  };
  try {
    read(bad);
    expect.unreachable();
  } catch (error) {
    expect((error as ConfigError).problems.map(({ name }) => name).sort()).toEqual(Object.keys(bad).sort());
    expect((error as Error).message).not.toContain('the secret key');
  }
});
