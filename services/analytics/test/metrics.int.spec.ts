// Metrics and dimensions added while the service runs, on real NATS: stored, checked, and views at once.
import { status } from '@grpc/grpc-js';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { Dimension, DimensionSubject, Guests, Metric, Period, Refunds } from '#gen/recur/analytics/v1/metric.ts';
import { MetricServiceClient } from '#gen/recur/analytics/v1/metric_service.ts';
import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { Commerce, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { DAY, event, micros, order, record, SampleLog } from './sample-log.ts';

const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let service: SpawnedService;
let rpc: RpcClient<typeof MetricServiceClient.service>;
const START = Date.UTC(2026, 3, 1);

beforeAll(async () => {
  service = await spawnService('analytics', { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url });
  nats = await connect({ servers: servers.nats.url });
  rpc = createClient(MetricServiceClient, service.grpcAddr, { token: testSecrets().apiToken });
  await fill();
}, 60_000);
afterAll(async () => {
  rpc?.close();
  await nats?.close();
  await service?.stop();
});

/** a of Shanghai: 100 then 50, of which 20 came back; b of Beijing: 30 long ago; g, a guest: 10. */
async function fill(): Promise<void> {
  const created = (id: string, identified: boolean) =>
    record(
      id,
      RecordKind.RECORD_KIND_IDENTITY,
      START,
      IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified })).finish(),
    );
  const city = (id: string, name: string) =>
    event(id, {
      type: EventType.EVENT_TYPE_IDENTIFY,
      timeMs: START,
      messageId: `city-${id}`,
      traits: [{ name: 'city', json: Buffer.from(JSON.stringify(name)), sealed: Buffer.alloc(0) }],
    });
  const log = new SampleLog().add(1, [
    ...['a', 'b'].map((id) => created(id, true)),
    created('g', false),
    city('a', 'Shanghai'),
    city('b', 'Beijing'),
    order('b', 'o0', START + DAY, 30),
    order('a', 'o1', START + 40 * DAY, 100),
    order('a', 'o2', START + 41 * DAY, 50),
    event('a', {
      name: 'Order Refunded',
      timeMs: START + 42 * DAY,
      commerce: Commerce.fromPartial({ orderId: 'o2', amountMicros: micros(20) }),
    }),
    order('g', 'o3', START + 42 * DAY, 10),
  ]);
  const js = jetstream(nats);
  for (const { partition, data } of log.frames) await js.publish(`log.${partition}.event`, data);
  const { state } = await (await jetstreamManager(nats)).streams.info('LOG');
  const analytics = createClient(AnalyticsServiceClient, service.grpcAddr, { token: testSecrets().apiToken });
  for (let i = 0; i < 300; i++) {
    const { throughSeq } = await analytics.getSinkOffset({}).catch(() => ({ throughSeq: 0 }));
    if (throughSeq >= state.last_seq) break;
    await new Promise((r) => setTimeout(r, 50));
  }
  analytics.close();
}

async function sql<T = Record<string, unknown>>(query: string): Promise<T[]> {
  const url = `http://127.0.0.1:${service.env.CLICKHOUSE_HTTP_PORT}/?default_format=JSON`;
  const answer = await fetch(url, { method: 'POST', body: query });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return (JSON.parse(text) as { data: T[] }).data;
}

const measure = (more: object = {}) => ({
  $case: 'measure' as const,
  value: {
    source: 'orders',
    where: '',
    numerator: 'sum(amount)',
    denominator: 'count()',
    dimensions: [],
    period: Period.PERIOD_UNSPECIFIED,
    ...more,
  },
});
const metric = (id: string, more: Partial<Metric> = {}): Metric => ({
  ...Metric.fromPartial({ id, displayName: 'Average order', owner: 'crm', unit: 'money' }),
  refunds: Refunds.REFUNDS_NET,
  guests: Guests.GUESTS_EXCLUDED,
  formula: measure(),
  ...more,
});
const CITY: Dimension = {
  ...Dimension.fromPartial({ id: 'city', displayName: 'City', owner: 'crm', expression: "traits['city']" }),
  subject: DimensionSubject.DIMENSION_SUBJECT_CUSTOMER,
};
const create = async (m: Metric, requestId = '') => (await rpc.createMetric({ metric: m, requestId })).metric;

describe('a metric somebody adds', () => {
  it('is a view at once, with what it says about refunds, guests and windows', async () => {
    const stored = await create(metric('aov', { healthLine: 60 }), 'r-1');
    expect(stored).toMatchObject({ id: 'aov', view: 'm_aov', builtIn: false });
    expect(stored?.revision).toBeGreaterThan(0);
    expect(await create(metric('aov', { healthLine: 60 }), 'r-1')).toEqual(stored);
    expect(await sql('SELECT * FROM m_aov')).toEqual([{ numerator: 160, denominator: 3, value: 160 / 3, healthy: 0 }]);
    await create(metric('aov_gross', { refunds: Refunds.REFUNDS_GROSS, guests: Guests.GUESTS_INCLUDED }));
    expect(await sql('SELECT value FROM m_aov_gross')).toEqual([{ value: 190 / 4 }]);
    await create(metric('aov_month', { windowDays: 30 }));
    expect(await sql('SELECT value FROM m_aov_month')).toEqual([{ value: 130 / 2 }]);
    await create(
      metric('aov_apart', { guests: Guests.GUESTS_APART, formula: measure({ where: 'gross > 20 OR NOT identified' }) }),
    );
    expect(await sql('SELECT identified, value FROM m_aov_apart')).toEqual([
      { identified: 0, value: 10 },
      { identified: 1, value: 160 / 3 },
    ]);
  });

  it('breaks down by dimensions and by days of its own zone', async () => {
    expect((await rpc.createDimension({ dimension: CITY, requestId: 'd-1' })).dimension).toMatchObject({
      view: 'd_city',
    });
    expect(await sql("SELECT * FROM d_city WHERE value != '' ORDER BY customer_id")).toEqual([
      { customer_id: 'a', value: 'Shanghai' },
      { customer_id: 'b', value: 'Beijing' },
    ]);
    const formula = measure({
      dimensions: ['city'],
      period: Period.PERIOD_MONTH,
      numerator: 'sum(amount)',
      denominator: '',
    });
    await create(metric('sales_by_city', { formula, timeZone: 'Asia/Shanghai' }));
    expect(await sql('SELECT toString(period) AS period, d_city, value FROM m_sales_by_city')).toEqual([
      { period: '2026-04-01', d_city: 'Beijing', value: 30 },
      { period: '2026-05-01', d_city: 'Shanghai', value: 130 },
    ]);
  });

  it('may be a SELECT of its own, also over other metrics', async () => {
    const formula = { $case: 'sql' as const, value: 'SELECT value * 2 AS doubled FROM m_aov' };
    await create(metric('twice', { formula }));
    expect(await sql('SELECT * FROM recur.m_twice')).toEqual([{ doubled: 320 / 3 }]);
    await expect(rpc.deleteMetric({ id: 'aov', revision: 0, requestId: '' })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      message: expect.stringContaining('is used by metric "twice"'),
    });
    await expect(rpc.deleteDimension({ id: 'city', revision: 0, requestId: '' })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      message: expect.stringContaining('sales_by_city'),
    });
  });

  it('is in the catalogue, beside the built-in ones', async () => {
    expect(
      await sql(
        "SELECT metric, view, owner, refunds, guests, time_window, health_line, built_in FROM v_metric_catalogue WHERE metric IN ('aov_month', 'open_rate') ORDER BY metric",
      ),
    ).toEqual([
      {
        metric: 'aov_month',
        view: 'm_aov_month',
        owner: 'crm',
        refunds: 'net',
        guests: 'excluded',
        time_window: '30 days',
        health_line: '',
        built_in: 0,
      },
      {
        metric: 'open_rate',
        view: 'v_message_rates',
        owner: 'messaging',
        refunds: 'none',
        guests: 'included',
        time_window: 'all',
        health_line: '0.4',
        built_in: 1,
      },
    ]);
    const { metrics } = await rpc.listMetrics({ pageSize: 2, pageToken: '' });
    expect(metrics.filter((m) => !m.builtIn).map((m) => m.id)).toEqual(['aov', 'aov_apart']);
    expect(metrics.filter((m) => m.builtIn).length).toBeGreaterThan(15);
  });
});

describe('checks', () => {
  it.each<[string, Partial<Metric>, string, RegExp]>([
    [
      'a column nobody has',
      { formula: measure({ numerator: 'sum(nonsense)' }) },
      'metric.measure',
      /ClickHouse: .*nonsense/,
    ],
    [
      'a table nobody has',
      { formula: { $case: 'sql', value: 'SELECT * FROM nowhere' } },
      'metric.sql',
      /ClickHouse: .*nowhere/,
    ],
    ['a write', { formula: { $case: 'sql', value: 'DROP TABLE recur.events' } }, 'metric.sql', /Only SELECT/],
    [
      'a file',
      { formula: { $case: 'sql', value: "SELECT * FROM file('/etc/passwd')" } },
      'metric.sql',
      /file is not allowed/,
    ],
    [
      'two columns of one name',
      { formula: { $case: 'sql', value: 'SELECT customer_id, order_id, customer_id FROM v_orders' } },
      'metric.sql',
      /two columns customer_id/,
    ],
    ['a column without a name', { formula: { $case: 'sql', value: 'SELECT 1 + 1' } }, 'metric.sql', /needs a name/],
    [
      'a dimension nobody has',
      { formula: measure({ dimensions: ['moon'] }) },
      'metric.measure.dimensions[0]',
      /no dimension "moon"/,
    ],
    ['a built-in name', { id: 'ltv' }, '', /There is a metric "ltv" already/],
  ])('%s is refused at its field', async (_, more, field, says) => {
    const bad = create(metric('bad', more));
    await expect(bad).rejects.toThrow(says);
    if (field !== '') await expect(bad).rejects.toMatchObject({ violations: [{ field }] });
    expect(await sql("SELECT name FROM system.tables WHERE database = 'recur' AND name = 'm_bad'")).toEqual([]);
  });

  it('somebody else was faster, or it is built in', async () => {
    const { metric: now } = await rpc.getMetric({ id: 'aov_gross' });
    const changed = metric('aov_gross', {
      displayName: 'Changed',
      formula: measure({ numerator: 'max(amount)', denominator: '' }),
    });
    await expect(rpc.updateMetric({ metric: { ...changed, revision: 1_000 }, requestId: '' })).rejects.toMatchObject({
      code: status.ABORTED,
    });
    const { metric: next } = await rpc.updateMetric({
      metric: { ...changed, revision: now?.revision ?? 0 },
      requestId: 'u-1',
    });
    expect(next?.revision).toBeGreaterThan(now?.revision ?? 0);
    expect(await sql('SELECT value FROM m_aov_gross')).toEqual([{ value: 100 }]);
    const { versions } = await rpc.listMetricVersions({ id: 'aov_gross' });
    expect(versions.map((v) => v.metric?.displayName)).toEqual(['Changed', 'Average order']);
    await expect(rpc.updateMetric({ metric: metric('ltv'), requestId: '' })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
    });
  });

  it('trying one stores nothing', async () => {
    const look = await rpc.evaluateMetric({ subject: { $case: 'metric', value: metric('try_it') }, limit: 0 });
    expect(look.columns).toEqual(['numerator', 'denominator', 'value']);
    expect(look.rowsJson.map((row) => JSON.parse(row))).toEqual([{ numerator: 160, denominator: 3, value: 160 / 3 }]);
    await expect(rpc.getMetric({ id: 'try_it' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    const builtIn = await rpc.evaluateMetric({ subject: { $case: 'id', value: 'repurchase_rate' }, limit: 1 });
    expect(builtIn).toMatchObject({ more: true });
    await expect(rpc.evaluateMetric({ subject: { $case: 'id', value: 'funnel' }, limit: 0 })).rejects.toThrow(
      'needs parameters',
    );
    await expect(rpc.evaluateMetric({ subject: { $case: 'id', value: 'nothing' }, limit: 0 })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });
});

it('views are those of the definitions again after a restart, and gone when the definition is', async () => {
  await rpc.deleteMetric({ id: 'twice', revision: 0, requestId: '' });
  await expect(sql('SELECT * FROM m_twice')).rejects.toThrow('UNKNOWN_TABLE');
  await service.kill9();
  await service.restart();
  expect(await sql('SELECT value FROM m_aov')).toEqual([{ value: 160 / 3 }]);
  expect(await sql('SELECT count() AS n FROM m_sales_by_city')).toEqual([{ n: 2 }]);
  expect(await sql("SELECT count() AS n FROM v_metric_catalogue WHERE metric = 'twice'")).toEqual([{ n: 0 }]);
}, 60_000);
