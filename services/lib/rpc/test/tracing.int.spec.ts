import { makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { context, SpanKind } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { parseTraceParent } from '@opentelemetry/core';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLogger } from '#lib/telemetry/logger.ts';
import { callSpan, traced, traceWith } from '#lib/telemetry/trace.ts';
import { createClient, type GeneratedClient, type RpcClient } from '../client.ts';
import { RpcServer } from '../server.ts';
import { rpcService } from '../service.ts';
import { ApiTokens } from '../tokens.ts';
import { message, Probe, ProbeService } from './probe.ts';

const TOKEN = 'admin-token-1';
const tokens = new ApiTokens([{ token: TOKEN, name: 'admin', scopes: ['*'] }]);
const Generated = makeGenericClientConstructor(
  ProbeService,
  'recur.probe.v1.ProbeService',
) as unknown as GeneratedClient<typeof ProbeService>;
const exporter = new InMemorySpanExporter();
const logged: string[] = [];
const logger = createLogger({
  ...{ service: 'probe', replica: 'p', level: 'info' },
  destination: { write: (line) => logged.push(line) },
});
let server: RpcServer;
let client: RpcClient<typeof ProbeService>;

beforeAll(async () => {
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  traceWith({ tracer: provider.getTracer('test'), parse: parseTraceParent });
  const services = [rpcService(ProbeService, new Probe())];
  const where = { host: '127.0.0.1', port: 0, reflection: false };
  server = new RpcServer({ services, tokens, logger, registry: new Registry(), ...where });
  client = createClient(Generated, `127.0.0.1:${await server.start()}`, { token: TOKEN });
});
afterAll(async () => {
  client?.close();
  await server?.stop(1_000);
  traceWith(undefined);
  context.disable();
});
beforeEach(() => exporter.reset());

/** The spans of a call: its caller's, the client's and the server's. */
async function call(method: string, work: () => Promise<unknown>) {
  const around = callSpan('caller', SpanKind.INTERNAL, undefined, {});
  const outcome = await traced(around, work).catch((error: unknown) => error);
  const named = `recur.probe.v1.ProbeService/${method}`;
  const find = (kind: SpanKind) =>
    exporter.getFinishedSpans().find((span) => span.name === named && span.kind === kind);
  await expect.poll(() => find(SpanKind.SERVER)).toBeDefined();
  await expect.poll(() => find(SpanKind.CLIENT)).toBeDefined();
  const [server, client] = [find(SpanKind.SERVER), find(SpanKind.CLIENT)];
  expect(server?.parentSpanContext).toMatchObject({ spanId: client?.spanContext().spanId, isRemote: true });
  expect(client?.parentSpanContext?.spanId).toBe(around?.spanContext().spanId);
  expect(server?.spanContext().traceId).toBe(around?.spanContext().traceId);
  return { outcome, server, client };
}

test('a call is a span of the caller and one of the answerer, with the outcome', async () => {
  const { server: answered, client: asked } = await call('Say', () => client.say(message('hello')));
  for (const span of [answered, asked]) {
    expect(span?.attributes).toEqual({
      'rpc.system': 'grpc',
      'rpc.service': 'recur.probe.v1.ProbeService',
      'rpc.method': 'Say',
      'rpc.grpc.status_code': status.OK,
    });
  }
});

test('streams, both ways, and one that fails', async () => {
  await call('Sum', () => client.sum([message('', 1), message('', 2)]));
  await call('Count', async () => {
    for await (const _ of client.count(message('', 3)));
  });
  exporter.reset();
  const { server: answered, client: asked } = await call('Count', async () => {
    for await (const _ of client.count(message('fail', 5)));
  });
  for (const span of [answered, asked]) {
    expect(span?.attributes['rpc.grpc.status_code']).toBe(status.INVALID_ARGUMENT);
    expect(span?.status.code).toBe(2);
  }
});

test('what is logged of a call that fails names its trace', async () => {
  const { server: answered } = await call('Say', () => client.say(message('unexpected')));
  const line = logged.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'call failed unexpectedly');
  expect(line).toMatchObject({
    trace_id: answered?.spanContext().traceId,
    span_id: answered?.spanContext().spanId,
  });
  expect(JSON.stringify(answered?.attributes)).not.toContain('secret detail');
});
