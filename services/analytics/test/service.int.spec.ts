// The built service on real NATS and Redis: log in, gRPC and SQL out, and a kill -9 in between.
import { createClient as createClickHouse } from '@clickhouse/client';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import { ExperimentServiceClient } from '#gen/recur/analytics/v1/experiment_service.ts';
import { Exposure, IdentityChange, Merged } from '#gen/recur/log/v1/changes.ts';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { DAY, event, order, record, SampleLog } from './sample-log.ts';

const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let service: SpawnedService;
let rpc: RpcClient<typeof AnalyticsServiceClient.service>;
let experiments: RpcClient<typeof ExperimentServiceClient.service>;
const START = Date.UTC(2026, 3, 1);
/** Results go over everything there is; on a busy machine that takes a while. */
const PATIENT = { deadlineMs: 60_000 };

beforeAll(async () => {
  service = await spawnService('analytics', { NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url });
  nats = await connect({ servers: servers.nats.url });
  rpc = createClient(AnalyticsServiceClient, service.grpcAddr, { token: testSecrets().apiToken });
  experiments = createClient(ExperimentServiceClient, service.grpcAddr, { token: testSecrets().apiToken });
}, 60_000);
afterAll(async () => {
  rpc?.close();
  experiments?.close();
  await nats?.close();
  await service?.stop();
});

async function publish(log: SampleLog, kind: string): Promise<void> {
  const js = jetstream(nats);
  for (const { partition, data } of log.frames) await js.publish(`log.${partition}.${kind}`, data);
}

async function writtenThrough(): Promise<void> {
  const { state } = await (await jetstreamManager(nats)).streams.info('LOG');
  for (let i = 0; i < 300; i++) {
    const { throughSeq } = await rpc.getSinkOffset({}).catch(() => ({ throughSeq: 0 }));
    if (throughSeq >= state.last_seq) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  throw new Error(`the sink does not reach ${state.last_seq}: ${service.logs(20)}`);
}

describe('analytics', () => {
  it('writes the log and answers from it', async () => {
    const created = (id: string) =>
      record(
        id,
        RecordKind.RECORD_KIND_IDENTITY,
        START,
        IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified: true })).finish(),
      );
    const merged = record(
      'b',
      RecordKind.RECORD_KIND_MERGED,
      START + 5,
      Merged.encode(Merged.fromPartial({ into: 'a', identified: true })).finish(),
    );
    await publish(
      new SampleLog()
        .add(1, [
          created('a'),
          order('a', 'o1', START + 1, 12.5),
          event('a', { name: 'Product Viewed', timeMs: START + 2 }),
        ])
        .add(2, [
          created('b'),
          order('b', 'o2', START + 3, 7),
          event('b', { name: 'Product Viewed', timeMs: START + 4 }),
          merged,
        ]),
      'event',
    );
    // An outcome is the provider's answer on its way to messaging, which tells it again: not a row.
    await publish(new SampleLog().add(1, [order('a', 'o3', START + DAY, 1)]), 'event');
    await publish(
      new SampleLog().add(1, [record('a', RecordKind.RECORD_KIND_DELIVERY, START, Buffer.alloc(0))]),
      'outcome',
    );
    await writtenThrough();

    const first = await rpc.listCustomerEvents({ customerId: 'b', pageSize: 3, pageToken: '', names: [] });
    expect(first.events.map((e) => [e.name, e.timeMs - START, e.seenAs])).toEqual([
      ['Order Completed', DAY, 'a'],
      ['Product Viewed', 4, 'b'],
      ['Order Completed', 3, 'b'],
    ]);
    const second = await rpc.listCustomerEvents({
      customerId: 'b',
      pageSize: 3,
      pageToken: first.nextPageToken,
      names: [],
    });
    expect(second.events.map((e) => e.timeMs - START)).toEqual([2, 1]);
    expect(second.nextPageToken).toBe('');
    const orders = await rpc.listCustomerEvents({
      customerId: 'a',
      pageSize: 0,
      pageToken: '',
      names: ['Order Completed'],
    });
    expect(orders.events.map((e) => [e.orderId, e.amountMicros])).toEqual([
      ['o3', 1_000_000],
      ['o2', 7_000_000],
      ['o1', 12_500_000],
    ]);

    const summary = await rpc.getSummary({
      asOfMs: 0,
      rfm: { recencyDays: 30, frequency: 1, monetaryMicros: 10_000_000 },
    });
    expect(summary).toMatchObject({
      events: 5,
      customers: 1,
      identifiedCustomers: 1,
      identificationRate: 1,
      mergedCustomers: 1,
      orders: 3,
      grossMicros: 20_500_000,
      netMicros: 20_500_000,
      buyers: 1,
      repeatBuyers: 1,
      repurchaseRate: 1,
      guests: 0,
      asOfMs: START + DAY + 1,
      rfm: [{ class: 'important_value', customers: 1, monetaryMicros: 20_500_000 }],
    });
    const mean = await rpc.getSummary({ asOfMs: 0, rfm: undefined });
    expect(mean.rfm.reduce((sum, c) => sum + c.customers, 0)).toBe(1);
  });

  it('refuses bad requests, naming field and rule', async () => {
    await expect(
      rpc.listCustomerEvents({ customerId: '', pageSize: 201, pageToken: 'x', names: [''] }),
    ).rejects.toMatchObject({
      violations: [{ field: 'customer_id' }, { field: 'page_size' }, { field: 'page_token' }, { field: 'names' }],
    });
    await expect(rpc.listExperimentResults({ experimentId: '', days: 366, by: '' })).rejects.toMatchObject({
      violations: [{ field: 'days' }],
    });
  });

  it('tells what an experiment brought', async () => {
    const exposure = (id: string, variant: string) =>
      record(
        id,
        RecordKind.RECORD_KIND_EXPOSURE,
        START,
        Exposure.encode(Exposure.fromPartial({ experimentId: 'x', variant, holdOut: variant === 'none' })).finish(),
      );
    const people = Array.from({ length: 40 }, (_, i) => `p${i}`);
    await publish(
      new SampleLog().add(
        0,
        people.map((id, i) => exposure(id, i % 2 ? 'mail' : 'none')),
      ),
      'step',
    );
    await publish(
      new SampleLog().add(
        0,
        people.filter((_, i) => i % 2 || i < 10).map((id, i) => order(id, `x${id}`, START + DAY, 10 + (i % 3))),
      ),
      'event',
    );
    await writtenThrough();
    const { results } = await rpc.listExperimentResults({ experimentId: 'x', days: 7, by: '' }, PATIENT);
    const mail = results.find((r) => r.variant === 'mail' && r.metric === 'conversion');
    expect(mail).toMatchObject({ customers: 20, total: 20, mean: 1, control: 'none', effect: 0.75 });
    expect(mail?.p).toBeLessThan(0.001);
    const none = results.find((r) => r.variant === 'none' && r.metric === 'conversion');
    expect(none).toMatchObject({ holdOut: true, customers: 20, total: 5 });
    expect(none?.effect).toBeUndefined();
  });

  it('keeps plans of experiments; they are in results within a second', async () => {
    const people = Array.from({ length: 60 }, (_, i) => `v${i}`);
    const viewed = people.map((id, i) =>
      event(id, {
        name: 'Experiment Viewed',
        timeMs: START,
        propertiesJson: Buffer.from(`{"experiment_id":"Checkout 2.0","variation_id":"${i % 3 ? 'new' : 'old'}"}`),
      }),
    );
    const surveys = people
      .filter((_, i) => i % 2)
      .map((id) => event(id, { name: 'Survey Answered', timeMs: START + DAY }));
    await publish(new SampleLog().add(2, [...viewed, ...surveys]), 'event');
    await writtenThrough();
    const before = (await experiments.listExperiments({}, PATIENT)).experiments.find(
      (e) => e.experimentId === 'Checkout 2.0',
    );
    expect(before).toMatchObject({ control: '', customers: 60, crossed: 0, sharesPlanned: false });
    expect(before?.arms).toEqual([
      { variant: 'new', customers: 40, share: 0.5 },
      { variant: 'old', customers: 20, share: 0.5 },
    ]);
    expect(before?.srmP).toBeCloseTo(0.009823, 6);

    const plan = ExperimentPlan.fromPartial({
      id: 'checkout',
      experimentId: 'Checkout 2.0',
      displayName: 'One-page checkout',
      control: 'old',
      arms: [
        { variant: 'old', weight: 1 },
        { variant: 'new', weight: 2 },
      ],
      metrics: [{ name: 'survey', events: ['Survey Answered'], aggregate: 1 }],
    });
    const { plan: made } = await experiments.createExperimentPlan({ plan, requestId: 'r-1' });
    expect(made).toMatchObject({ ...plan, revision: expect.any(Number) });
    expect(await experiments.getExperimentPlan({ id: 'checkout' })).toEqual({ plan: made });
    expect((await experiments.listExperimentPlans({ pageSize: 0, pageToken: '' })).plans).toEqual([made]);
    const planned = async (wanted: boolean) => {
      for (let i = 0; i < 40; i++) {
        const found = (await experiments.listExperiments({}, PATIENT)).experiments.find(
          (e) => e.experimentId === 'Checkout 2.0',
        );
        if (found?.sharesPlanned === wanted) return found;
        await new Promise((r) => setTimeout(r, 50));
      }
      throw new Error(`the plan is not ${wanted ? '' : 'away '}within two seconds`);
    };
    expect(await planned(true)).toMatchObject({ control: 'old', displayName: 'One-page checkout', srmP: 1 });
    const { results } = await rpc.listExperimentResults({ experimentId: 'Checkout 2.0', days: 7, by: '' }, PATIENT);
    expect(results.map((r) => `${r.metric} ${r.variant}`)).toHaveLength(2 * 6);
    const survey = results.find((r) => r.metric === 'survey' && r.variant === 'new');
    expect(survey).toMatchObject({
      kind: 'share',
      customers: 40,
      total: 20,
      control: 'old',
      controlMean: 0.5,
      effect: 0,
    });
    expect(survey?.verdict).toMatch(/^No difference shown \(p = 1\)/);
    const { power } = await experiments.listExperimentPower(
      { experimentId: 'Checkout 2.0', days: 7, effect: 0.5 },
      PATIENT,
    );
    expect(power.find((p) => p.metric === 'survey')).toMatchObject({ variant: 'new', effectWanted: 0.25 });
    expect(
      (await rpc.listExperimentResults({ experimentId: 'Checkout 2.0', days: 7, by: 'segment' }, PATIENT)).results,
    ).toEqual([]);

    // Another revision of it, and then none.
    const changed = { ...(made as ExperimentPlan), arms: [] };
    await expect(
      experiments.updateExperimentPlan({ plan: { ...changed, revision: 999_999 }, requestId: '' }),
    ).rejects.toMatchObject({ code: 10 });
    await experiments.updateExperimentPlan({ plan: changed, requestId: '' });
    expect(await planned(false)).toMatchObject({ control: 'old', displayName: 'One-page checkout' });
    await experiments.deleteExperimentPlan({ id: 'checkout', revision: 0, requestId: '' });
    await expect(experiments.getExperimentPlan({ id: 'checkout' })).rejects.toMatchObject({ code: 5 });
  });

  it('refuses bad plans and questions, naming field and rule', async () => {
    const plan = ExperimentPlan.fromPartial({ id: 'bad', arms: [{ variant: '', weight: -1 }], control: 'x' });
    await expect(experiments.createExperimentPlan({ plan, requestId: '' })).rejects.toMatchObject({
      violations: [
        { field: 'plan.arms', description: '1 arms; must be none, or 2 to 20' },
        { field: 'plan.arms[0].variant' },
        { field: 'plan.arms[0].weight', description: '-1 must be above 0 and at most 1000000000' },
        { field: 'plan.control' },
      ],
    });
    await expect(experiments.createExperimentPlan({ plan: undefined, requestId: '' })).rejects.toMatchObject({
      violations: [{ field: 'plan' }],
    });
    await expect(
      experiments.listExperimentPower({ experimentId: '', days: -1, effect: Number.NaN }),
    ).rejects.toMatchObject({ violations: [{ field: 'days' }, { field: 'effect' }] });
    await expect(rpc.listExperimentResults({ experimentId: '', days: 1, by: "x' OR 1" })).rejects.toMatchObject({
      violations: [{ field: 'by' }],
    });
  });

  it('a record that cannot be read goes to the dead letters', async () => {
    await publish(
      new SampleLog().add(3, [record('z', RecordKind.RECORD_KIND_EVENT, START, Buffer.from([0x0a, 0x7f]))]),
      'event',
    );
    await writtenThrough();
    const message = await (await jetstreamManager(nats)).streams.getMessage('DEAD_LETTERS', {
      last_by_subj: 'dead.analytics.3',
    });
    const letter = DeadLetter.decode(message?.data ?? new Uint8Array(0));
    expect(letter).toMatchObject({
      stage: 'analytics',
      partition: 3,
      index: 0,
      reason: expect.stringContaining('reaches over the end'),
      record: { customerId: 'z' },
    });
  });

  it('serves SQL, counts once after kill -9, and does not need Redis to know where it was', async () => {
    const url = `http://127.0.0.1:${service.env.CLICKHOUSE_HTTP_PORT}`;
    const clickhouse = createClickHouse({ url });
    const counts = async () =>
      (
        await (
          await clickhouse.query({
            query: 'SELECT count() AS n, uniqExact(message_id) AS u FROM events',
            format: 'JSONEachRow',
          })
        ).json<{ n: number; u: number }>()
      )[0];
    const before = await counts();
    const many = new SampleLog();
    for (let f = 0; f < 200; f++)
      many.add(
        f % 4,
        Array.from({ length: 20 }, (_, i) =>
          event(`k${i}`, {
            name: 'Product Viewed',
            timeMs: START + 2 * DAY + f * 100 + i,
            messageId: `kill-${f}-${i}`,
          }),
        ),
      );
    const publishing = publish(many, 'event');
    await new Promise((r) => setTimeout(r, 150));
    await service.kill9();
    await publishing;
    // Nothing the sink stands on is in Redis.
    const redis = new Redis(servers.redis.url);
    await redis.flushall();
    await redis.quit();
    await service.restart();
    await writtenThrough();
    const after = await counts();
    expect(Number(after?.n)).toBe(Number(before?.n) + 4_000);
    expect(Number(after?.u)).toBe(Number(after?.n));
    await clickhouse.close();
  }, 60_000);
});
