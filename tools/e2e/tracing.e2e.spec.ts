import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GetProfileResponse } from '#gen/recur/profile/v1/profile_service.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { createTemplate, startJourney } from '#tools/bench/definitions.ts';
import { Collector } from '#tools/collector/collector.ts';
import { serviceGraph } from '#tools/collector/graph.ts';
import { until } from '#tools/library/progress.ts';
import { mailsIn } from './mails.ts';
import { ShopCluster } from './shop-cluster.ts';

/** Spans of a real cluster, sent to a real collector: only what a sender says it traces is traced here. */
let collector: Collector;
let shop: ShopCluster;

const THANKS = `
id: thanks
name: Thanks
definition:
  trigger: { segment_entered: big_buyers }
  reentry: { rule: never }
  start: mail
  nodes:
    - id: mail
      message: { channel: email, template_id: thanks, purpose: transactional, next: done }
    - { id: done, exit: { reason: sent } }
`;

const traceparent = (traceId: string, sampled = true) => `00-${traceId}-00f067aa0ba902b7-${sampled ? '01' : '00'}`;

/** Sent again until it is stored, as senders do: a busy machine answers 503 now and then. */
async function send(path: string, body: object, headers: Record<string, string> = {}): Promise<void> {
  const { ingestHttp, writeKey } = shop.endpoints;
  const authorization = `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}`;
  const init = { method: 'POST', headers: { authorization, ...headers }, body: JSON.stringify(body) };
  await until('the event to be stored', async () => {
    const answer = await fetch(`${ingestHttp}${path}`, init);
    await answer.arrayBuffer();
    return answer.status === 200;
  });
}

beforeAll(async () => {
  collector = await Collector.start();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_BSP_MAX_QUEUE_SIZE: '512',
  };
  shop = await ShopCluster.start({ clock: 'live', partitions: 1, env, logLevel: 'debug', readyTimeoutMs: 300_000 });
  const { api } = shop;
  const rule = { orders: { netMicros: { atLeast: 1_000_000_000 } } };
  const segment = Segment.fromJSON({ id: 'big_buyers', displayName: 'Big buyers', rule });
  await api.segmentation.createSegment({ segment, requestId: 'segment' });
  await createTemplate(api, 'thanks', 'Thank you');
  await startJourney(api, THANKS);
  await shop.quiescence.defined({ segmentation: 1, journey: 1, messaging: 1 });
});
afterAll(async () => {
  await shop?.stop();
  await collector?.stop();
});

test('one HTTP event that causes a mail is one trace through every service', async () => {
  const email = 'traced@example.com';
  await send('/v1/identify', { userId: 'traced', traits: { email } });
  await shop.quiescence.reached('who it is');
  expect(collector.received).toBe(0);

  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const order = { order_id: 'o-1', total: 1_200, currency: 'CNY', products: [{ product_id: 'p-1', price: 1_200 }] };
  const event = { userId: 'traced', event: 'Order Completed', properties: order };
  await send('/v1/track', event, { traceparent: traceparent(traceId) });
  await until('the mail', async () => (await mailsIn(shop.endpoints.mailboxHttp)).length > 0);
  await shop.quiescence.reached('the order');
  await until('its spans', async () => {
    const stored = collector.spans.filter(({ name }) => name === 'analytics store');
    return stored.length > 0 && collector.spans.some(({ name }) => name === 'messaging outcomes');
  });
  // Outcomes go around once more: into the log, through messaging, into ClickHouse.
  await until('no more spans', async () => {
    const before = collector.received;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    return collector.received === before;
  });
  const spans = collector.trace(traceId);
  expect(collector.spans).toHaveLength(spans.length);
  const edges = serviceGraph(spans);
  const way = ['ingest', 'identity', 'profile', 'segmentation', 'journey', 'messaging'];
  expect(edges).toEqual(expect.arrayContaining(way.slice(1).map((service, i) => `${way[i]} > ${service}`)));
  for (const service of way.slice(1)) expect(edges).toContain(`${service} > analytics`);
  const request = spans.find(({ name }) => name === 'POST /v1/track');
  expect(request).toMatchObject({
    service: 'ingest',
    parentId: '00f067aa0ba902b7',
    kind: 2,
    attributes: { 'http.route': '/v1/track', 'http.response.status_code': 200 },
  });
  const mail = spans.find(({ name }) => name === 'email send');
  expect(mail).toMatchObject({ service: 'messaging', kind: 3, attributes: { 'recur.result': 'accepted' } });
  // Every span but the sender's hangs from another one of the trace.
  const ids = new Set(spans.map(({ spanId }) => spanId));
  expect(spans.filter(({ parentId }) => !ids.has(parentId))).toEqual([request]);
  for (const span of spans) expect(span.endUs).toBeGreaterThanOrEqual(span.startUs);
  expect(JSON.stringify(spans)).not.toContain(email);
});

test('a gRPC call and the calls it makes are one trace, whether the sender wants it or not', async () => {
  const client = new ProfileServiceClient(shop.endpoints.grpc.profile, credentials.createInsecure());
  const ask = (traceId: string, sampled: boolean) => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${shop.endpoints.apiToken}`);
    metadata.set('traceparent', traceparent(traceId, sampled));
    const request = {
      customer: { $case: 'identifier' as const, value: { type: 'user_id', value: 'traced' } },
      readMask: ['orders', 'segments', 'journeys', 'messages', 'timeline'],
    };
    return new Promise<GetProfileResponse>((resolve, reject) => {
      client.getProfile(request, metadata, (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
  };
  const no = 'b'.repeat(32);
  const edges = ['identity', 'segmentation', 'journey', 'messaging', 'analytics'].map((peer) => `profile > ${peer}`);
  let yes = '';
  let tries = 0;
  // What a peer does not say in time is missing in the answer, and in the trace: then it is asked once more.
  await until('an answer with everything', async () => {
    yes = (++tries).toString(16).padStart(32, 'a');
    const { profile } = await ask(yes, true);
    if (profile === undefined || profile.missing.length > 0) return false;
    await ask(no, false);
    return true;
  });
  client.close();
  await until('the spans of the call', async () => serviceGraph(collector.trace(yes)).length === edges.length);
  const spans = collector.trace(yes);
  expect(serviceGraph(spans)).toEqual(edges.sort());
  // Each peer's span is the child of the call profile made, and that is a child of the call profile answers.
  const root = spans.find(({ name }) => name === 'recur.profile.v1.ProfileService/GetProfile');
  for (const server of spans.filter(({ service }) => service !== 'profile')) {
    const call = spans.find(({ spanId }) => spanId === server.parentId);
    expect(call).toMatchObject({ service: 'profile', kind: 3, name: server.name, parentId: root?.spanId });
  }
  expect(collector.trace(no)).toEqual([]);
});

test('a collector that is away slows nobody, and what it misses is counted', async () => {
  collector.refusing = true;
  const ingest = shop.endpoints.ingestHttp;
  const counted = async () => {
    const text = await (await fetch(`${ingest}/metrics`)).text();
    const of = (outcome: string) =>
      Number(new RegExp(`recur_trace_spans_total\\{.*outcome="${outcome}".*\\} (\\d+)`).exec(text)?.[1]);
    return { failed: of('failed'), dropped: of('dropped'), exported: of('exported') };
  };
  expect((await counted()).exported).toBeGreaterThan(0);
  const headers = { traceparent: traceparent('cccccccccccccccccccccccccccccccc') };
  const one = (i: number) => send('/v1/track', { userId: `u-${i}`, event: 'Product Viewed' }, headers);
  // All of them are stored, and more spans come of them than may wait for a collector that does not come back.
  for (let i = 0; i < 3_000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, j) => one(i + j)));
  await until('spans to be dropped', async () => (await counted()).dropped > 0);
  expect(logLines('ingest').filter(({ msg }) => msg === 'the collector takes no spans').length).toBeLessThanOrEqual(1);
  collector.refusing = false;
  await until('the collector to be told again', async () => {
    await one(0);
    return collector.trace('cccccccccccccccccccccccccccccccc').length > 0;
  });
});

function logLines(service: string): { msg?: string; trace_id?: string; span_id?: string }[] {
  const dir = join(shop.cluster.dir, 'logs');
  const files = readdirSync(dir).filter((name) => name.startsWith(service));
  return files.flatMap((name) =>
    readFileSync(join(dir, name), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line)),
  );
}
