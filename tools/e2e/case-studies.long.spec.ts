import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { startJourney } from '#tools/bench/definitions.ts';
import { play } from '#tools/demo/play.ts';
import { sql } from '#tools/library/sql.ts';
import { ShopCluster } from './shop-cluster.ts';
import { type Lived, ToldShop } from './told-shop.ts';

/**
 * Four case studies on the sample shop: what SQL says a journey is worth, against its hold-out, beside the truth about the same
 * people: the same lives lived without that journey's messages.
 */
const DAY_MS = 86_400_000;
const START_MS = Date.parse('2026-05-01T00:00:00+08:00');
/** History first; then the journeys are switched on. */
const SWITCHED_ON = 90;
/** On the evening of this day. */
const ROOM_OPENS = 100;
/**
 * Arms are drawn anew in each run, by the cluster's own key, and five intervals of 95 % hold all five truths in three runs of four.
 * What is asked for are intervals of 99.9 %, which do in all but one of two hundred.
 */
const WIDER = 3.29 / 1.96;
const SEED = Number(process.env.RECUR_E2E_SEED ?? 3);

const told = new ToldShop({
  ...{ seed: SEED, people: 12_000, startMs: START_MS, days: 165 },
  effects: [
    ['layer_lapsed', 0.8],
    ['layer_new', 0.4],
    ['layer_loyal', 0.4],
    ['day14', 0.9],
    ['live', 0.8],
    ['wishes_a', 0.15],
    ['wishes_b', 0.9],
  ],
});

const TEMPLATES = ['layer_lapsed', 'layer_new', 'layer_loyal', 'day14', 'live', 'wishes_a', 'wishes_b'];
const SEGMENTS = {
  buyers: { orders: { count: { at_least: 1 } } },
  first_order: { orders: { count: { at_least: 1, at_most: 1 }, days_since_last: { at_most: 15 } } },
  lapsed_45: { orders: { count: { at_least: 1 }, days_since_last: { at_least: 45 } } },
};

const message = (id: string, template = id) =>
  `    - { id: ${id}, message: { channel: email, template_id: ${template}, purpose: marketing, next: told } }`;
const END = `    - { id: told, exit: {} }\n    - { id: held_out, exit: { reason: hold_out } }`;
const HOLD_OUT = '{ id: hold_out, weight: 30, next: held_out, hold_out: true }';

const JOURNEYS = [
  // K-A: everybody who bought, by layer.
  `id: layers
definition:
  trigger: { schedule: { cron: "0 10 1 * *", segment_id: buyers } }
  start: arm
  nodes:
    - id: arm
      split: { experiment_id: layers, variants: [{ id: layered, weight: 70, next: layer }, ${HOLD_OUT}] }
    - id: layer
      branch:
        ways:
          - { id: lapsed, conditions: [{ in_segment: lapsed_45 }], next: layer_lapsed }
          - { id: new, conditions: [{ expression: '"first_order" in segments' }], next: layer_new }
        otherwise: layer_loyal
${message('layer_lapsed')}
${message('layer_new')}
${message('layer_loyal')}
${END}`,
  // K-E
  `id: day14
definition:
  trigger: { segment_entered: first_order }
  exit_when: [{ segment_exited: first_order }]
  start: two_weeks
  nodes:
    - { id: two_weeks, wait: { duration: P14D, next: arm } }
    - id: arm
      split: { experiment_id: day14, variants: [{ id: message, weight: 70, next: care }, ${HOLD_OUT}] }
${message('care', 'day14')}
${END}`,
  // K-H
  `id: recall
definition:
  trigger: { live_room: { room_id: evening, segment_id: lapsed_45 } }
  start: arm
  nodes:
    - id: arm
      split: { experiment_id: recall, variants: [{ id: recalled, weight: 70, next: live }, ${HOLD_OUT}] }
${message('live')}
${END}`,
  // K-K
  `id: wishes
definition:
  trigger: { date: { trait: birthday, at: "09:00" } }
  start: arm
  nodes:
    - id: arm
      split:
        experiment_id: wishes
        variants:
          - { id: a, weight: 35, next: wishes_a }
          - { id: b, weight: 35, next: wishes_b }
          - ${HOLD_OUT}
${message('wishes_a')}
${message('wishes_b')}
${END}`,
];

let shop: ShopCluster;

async function switchOn(): Promise<void> {
  const { api } = shop;
  for (const [id, rule] of Object.entries(SEGMENTS)) {
    const segment = Segment.fromJSON({ id, displayName: id, rule });
    await api.segmentation.createSegment({ segment, requestId: '' });
  }
  for (const id of TEMPLATES) {
    const template = Template.fromPartial({ id, name: id, channel: 'email', content: { subject: id, text: id } });
    await api.messaging.createTemplate({ template, requestId: '' });
  }
  for (const text of JOURNEYS) await startJourney(api, text);
  await shop.quiescence.defined({ journey: JOURNEYS.length, messaging: TEMPLATES.length + 1 });
}

async function onDay(day: number): Promise<void> {
  if (day === SWITCHED_ON) await switchOn();
  if (day !== ROOM_OPENS) return;
  const timeMs = START_MS + (day + 1) * DAY_MS;
  const opened = { roomId: 'evening', properties: undefined, requestId: 'evening', timeMs };
  expect(await shop.api.journey.startLiveRoom(opened)).toEqual({ journeyIds: ['recall'] });
  await shop.quiescence.reached('the live room to have opened');
}

beforeAll(async () => {
  shop = await ShopCluster.start({ clock: 'event', timeZone: 'Asia/Shanghai' });
  const { api, endpoints, cluster } = shop;
  const { settings } = await api.messaging.getMessagingSettings({});
  const open = { ...settings!, quietStart: '03:00', quietEnd: '03:00', capMessages: 100 };
  await api.messaging.updateMessagingSettings({ settings: open, requestId: '' });
  const stage = { messagingHttp: endpoints.httpOf('messaging'), mailboxHttp: endpoints.mailboxHttp };
  const { partitions } = cluster.settings;
  await play({ api, shop: told, ...stage, partitions, templateOf: (subject) => subject }, onDay);
  await shop.quiescence.reached('the story to have all its effects');
});
afterAll(() => shop?.stop());

interface Exposed extends Record<string, unknown> {
  at: number;
  person: string;
}

/**
 * What customers of an arm did more than they would have without the message, on average: share of those who ordered. Whoever never
 * registered has no address, and got none.
 */
async function truthOf(experiment: string, days: number, variant: string, template: string): Promise<number> {
  const exposed = await sql<Exposed>(
    shop.endpoints.clickhouseHttp,
    `SELECT toUnixTimestamp64Milli(c.exposed_at) AS at, i.person AS person
     FROM v_experiment_customers(days = ${days}) AS c
     LEFT ANY JOIN
     (
       SELECT coalesce(nullIf(m.current_id, ''), e.customer_id) AS customer_id, e.traits['shop_person'] AS person
       FROM events AS e LEFT ANY JOIN v_customer_map AS m ON m.customer_id = e.customer_id WHERE mapContains(e.traits, 'shop_person')
     ) AS i ON i.customer_id = c.customer_id
     WHERE c.experiment_id = '${experiment}' AND c.variant = '${variant}' AND c.window_over`,
  );
  const [really, without] = [told.lived, told.without(template)];
  const ordered = (lived: Lived, person: number, from: number): number =>
    Number((lived.get(person) ?? []).some(({ timeMs }) => timeMs >= from && timeMs < from + days * DAY_MS));
  // Living the lives again takes seconds in which nothing else happens here: connections that ended meanwhile are to be noticed.
  await sleep(100);
  const registered = exposed.filter(({ person }) => person !== '');
  expect(registered.length).toBeGreaterThan(exposed.length / 2);
  const more = registered.map(({ person, at }) => ordered(really, +person, at) - ordered(without, +person, at));
  return more.reduce((sum, difference) => sum + difference, 0) / exposed.length;
}

interface Result extends Record<string, unknown> {
  variant: string;
  customers: number;
  control_customers: number;
  mean: number;
  control_mean: number;
  effect: number;
  effect_low: number;
  effect_high: number;
  srm_p: number;
}

const resultsOf = (experiment: string, days: number, metric: string) =>
  sql<Result>(
    shop.endpoints.clickhouseHttp,
    `SELECT variant, customers, control_customers, mean, control_mean, effect, effect_low, effect_high, srm_p
     FROM v_experiment_results(days = ${days}) WHERE experiment_id = '${experiment}' AND metric = '${metric}' AND variant != control`,
  );

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** The lift SQL reads, said with the truth beside it. */
async function compare(experiment: string, days: number, variant: string, template: string): Promise<Result> {
  const result = (await resultsOf(experiment, days, 'conversion')).find((one) => one.variant === variant);
  const truth = await truthOf(experiment, days, variant, template);
  if (result === undefined) throw new Error(`nobody was in arm ${variant} of ${experiment}`);
  const { customers, mean, control_mean, control_customers, effect, effect_low, effect_high } = result;
  console.log(
    `${experiment} ${variant}, ordered within ${days} days: ${percent(mean)} of ${customers} against ${percent(control_mean)} of ` +
      `${control_customers}, lift ${percent(effect)} (${percent(effect_low)} to ${percent(effect_high)}), truth ${percent(truth)}`,
  );
  expect(Math.abs(truth - effect)).toBeLessThan(WIDER * ((effect_high - effect_low) / 2));
  expect(result.srm_p).toBeGreaterThan(0.001);
  return result;
}

test('K-A: layered care of those who bought lifts repurchase', async () => {
  const { effect_low } = await compare('layers', 30, 'layered', 'layer');
  expect(effect_low).toBeGreaterThan(0);
});

test('K-E: a message two weeks after the first order lifts repurchase within 30 days', async () => {
  const { effect } = await compare('day14', 30, 'message', 'day14');
  // Some hundred first orders in these weeks: less than the interval would need to be clear of 0 in nearly every run.
  expect(effect).toBeGreaterThan(0);
});

test('K-H: those recalled to the live room come back', async () => {
  const { effect_low } = await compare('recall', 7, 'recalled', 'live');
  expect(effect_low).toBeGreaterThan(0);
});

test('K-K: of two birthday wishes the better one brings more visits and more orders', async () => {
  await compare('wishes', 7, 'a', 'wishes_a');
  const { effect_low } = await compare('wishes', 7, 'b', 'wishes_b');
  expect(effect_low).toBeGreaterThan(0);
  const visits = new Map((await resultsOf('wishes', 7, 'visit')).map((one) => [one.variant, one]));
  const [a, b] = [visits.get('a'), visits.get('b')];
  console.log(
    `visits within 7 days: a ${percent(a?.mean ?? 0)}, b ${percent(b?.mean ?? 0)}, hold-out ${percent(b?.control_mean ?? 0)}`,
  );
  expect(b?.effect_low).toBeGreaterThan(a?.effect ?? 1);
});
