import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExperimentServiceClient } from '#gen/recur/analytics/v1/experiment_service.ts';
import { Journey } from '#gen/recur/journey/v1/journey.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { createClient } from '#lib/rpc/client.ts';
import { batchesOf } from '#tools/bench/batches.ts';
import { httpSender, sendAll } from '#tools/bench/send.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { sql } from '#tools/library/sql.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { mailsIn } from './mails.ts';
import { Nemesis } from './nemesis.ts';
import { ShopCluster } from './shop-cluster.ts';

/** A journey whose trigger is a call: one customer, or everybody in a segment at a rate, each asked once whatever dies. */
const PEOPLE = 600;
let shop: ShopCluster;

const journey = Journey.fromPartial({
  id: 'spring',
  name: 'Spring offer',
  definition: {
    trigger: { kind: { $case: 'api', value: {} } },
    reentry: { rule: 2 },
    start: 'code',
    nodes: [
      {
        id: 'code',
        kind: {
          $case: 'branch',
          value: {
            ways: [
              {
                id: 'given',
                next: 'arm',
                conditions: [{ kind: { $case: 'trigger', value: { property: 'code', op: 1, value: 'SPRING' } } }],
              },
            ],
            otherwise: 'no_code',
          },
        },
      },
      {
        id: 'arm',
        kind: {
          $case: 'split',
          value: {
            experimentId: 'spring',
            variants: [
              { id: 'mail', weight: 50, next: 'mail' },
              { id: 'hold_out', weight: 50, next: 'done', holdOut: true },
            ],
          },
        },
      },
      {
        id: 'mail',
        kind: {
          $case: 'message',
          value: { channel: 'email', templateId: 'welcome_a', purpose: 'transactional', next: 'done' },
        },
      },
      { id: 'no_code', kind: { $case: 'exit', value: { reason: 'no_code' } } },
      { id: 'done', kind: { $case: 'exit', value: { reason: 'done' } } },
    ],
  },
} as never);

function* signUps(): Generator<ShopEvent> {
  for (let i = 0; i < PEOPLE; i++) {
    const who = { channel: 'web' as const, userId: `member-${i}`, timestamp: new Date().toISOString() };
    yield { ...who, type: 'identify', messageId: `who-${i}`, traits: { email: `member-${i}@example.com` } };
    yield { ...who, type: 'track', event: 'Joined', messageId: `joined-${i}` };
  }
}

beforeAll(async () => {
  shop = await ShopCluster.start({ clock: 'live', timeZone: 'Asia/Shanghai', supervise: true });
  const { api, endpoints, quiescence } = shop;
  const { segments, templates, journeys } = await loadLibrary(api);
  const rule = { event: { name: 'Joined' } };
  await api.segmentation.createSegment({
    segment: Segment.fromJSON({ id: 'members', displayName: 'Members', rule }),
    requestId: 'members',
  });
  await api.journey.createJourney({ journey, requestId: 'create' });
  await api.journey.startJourney({ id: journey.id, requestId: 'start' });
  await quiescence.defined({
    segmentation: segments.length + 1,
    journey: journeys.length + 1,
    messaging: templates.length,
  });
  const sender = httpSender(endpoints.ingestHttp, endpoints.writeKeys as Record<string, string>, 2);
  await sendAll([...batchesOf(signUps(), { from: 100, to: 200 })], 2, sender.send);
  await sender.close();
  await quiescence.reached('the members');
}, 120_000);
afterAll(() => shop?.stop());

const request = { journeyId: 'spring', segmentId: 'members', properties: { code: 'SPRING' }, timeMs: 0 };

test('everybody in a segment is asked once, at a rate, whatever dies and however often it is called', async () => {
  const { api, quiescence, endpoints } = shop;
  const begun = performance.now();
  const first = api.journey.broadcast({ ...request, perSecond: 200, requestId: 'spring-1' }, { deadlineMs: 30_000 });
  for await (const { asked, done } of first) {
    expect(asked).toBeGreaterThan(0);
    expect(done).toBe(false);
    break; // The caller goes away.
  }
  const nemesis = new Nemesis(shop.cluster, {
    seed: 7,
    victims: ['journey', 'identity', 'segmentation', 'messaging', 'ingest'],
  });
  nemesis.start([700, 1500]);
  let asked = 0;
  for (let done = false; !done; ) {
    try {
      const calls = api.journey.broadcast(
        { ...request, perSecond: 200, requestId: 'spring-1' },
        { deadlineMs: 30_000 },
      );
      for await (const answer of calls) ({ asked, done } = answer);
    } catch (error) {
      const { code } = error as { code?: number };
      if (code !== status.UNAVAILABLE && code !== status.CANCELLED) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await nemesis.stop(3);
  expect(asked).toBe(PEOPLE);
  expect(performance.now() - begun).toBeGreaterThan(((PEOPLE - 200) / 200) * 1_000);
  await quiescence.reached('the broadcast');
  // Again, when all is quiet: nobody is asked.
  for await (const _ of api.journey.broadcast({ ...request, perSecond: 0, requestId: 'spring-1' }));
  await quiescence.reached('the broadcast, again');
  const rows = <T extends Record<string, unknown>>(query: string) => sql<T>(endpoints.clickhouseHttp, query);
  expect(
    await rows(
      "SELECT action, count() AS n, uniqExact(customer_id) AS customers FROM journey_steps WHERE journey_id = 'spring' AND action IN ('enrolled', 'refused') GROUP BY action",
    ),
  ).toEqual([{ action: 'enrolled', n: PEOPLE, customers: PEOPLE }]);
  const arms = await rows<{ variant: string; n: number }>(
    "SELECT variant, uniqExact(customer_id) AS n FROM v_exposures WHERE experiment_id = 'spring' GROUP BY variant",
  );
  expect(arms.reduce((sum, { n }) => sum + n, 0)).toBe(PEOPLE);
  const mailed = arms.find(({ variant }) => variant === 'mail')?.n ?? 0;
  const mails = (await mailsIn(endpoints.mailboxHttp)).map((mail) => mail.split(' ')[0]);
  expect(mails).toHaveLength(mailed);
  expect(new Set(mails).size).toBe(mailed);
}, 180_000);

test('it is an experiment like any other', async () => {
  const { grpc, apiToken } = shop.endpoints;
  const client = createClient(ExperimentServiceClient, grpc.analytics, { token: apiToken, deadlineMs: 20_000 });
  const { experiments } = await client.listExperiments({});
  client.close();
  const found = experiments.find(({ experimentId }) => experimentId === 'spring');
  expect(found).toMatchObject({ control: 'hold_out', customers: PEOPLE, crossed: 0, srmMismatch: false });
});

test('one customer, asked by id; what cannot be is refused with field and rule', async () => {
  const { api, quiescence, endpoints } = shop;
  const [one] = await sql<{ id: string }>(endpoints.clickhouseHttp, 'SELECT min(customer_id) AS id FROM v_identities');
  const customerIds = [one?.id ?? ''];
  const enrol = { journeyId: 'spring', customerIds, properties: undefined, requestId: 'one', timeMs: 0 };
  await api.journey.enrolCustomers(enrol);
  await api.journey.enrolCustomers(enrol);
  await quiescence.reached('one customer');
  const { past } = await api.journey.listEnrolments({ customerId: customerIds[0] as string, journeyId: 'spring' });
  expect(past.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['no_code']));
  const [count] = await sql<{ n: number }>(
    endpoints.clickhouseHttp,
    `SELECT count() AS n FROM journey_steps WHERE journey_id = 'spring' AND action = 'enrolled' AND customer_id = '${customerIds[0]}'`,
  );
  expect(count?.n).toBe(2);

  const refused = (change: object) => expect(api.journey.enrolCustomers({ ...enrol, ...change })).rejects;
  await refused({ customerIds: ['nobody'] }).toMatchObject({ violations: [{ field: 'customer_ids[0]' }] });
  await refused({ customerIds: [] }).toMatchObject({ violations: [{ field: 'customer_ids' }] });
  await refused({ requestId: '' }).toMatchObject({ violations: [{ field: 'request_id' }] });
  await refused({ timeMs: 5 }).toMatchObject({ violations: [{ field: 'time_ms' }] });
  await refused({ properties: { a: 'x'.repeat(3_000) } }).toMatchObject({ violations: [{ field: 'properties' }] });
  await refused({ journeyId: 'welcome' }).toMatchObject({ code: status.FAILED_PRECONDITION });
  await refused({ journeyId: 'nobody' }).toMatchObject({ code: status.NOT_FOUND });
  const all = async (change: object) => {
    for await (const _ of api.journey.broadcast({ ...request, perSecond: 0, requestId: 'x', ...change }));
  };
  await expect(all({ segmentId: 'nobody' })).rejects.toMatchObject({ code: status.NOT_FOUND });
  await expect(all({ perSecond: 10_001 })).rejects.toMatchObject({ violations: [{ field: 'per_second' }] });
});
