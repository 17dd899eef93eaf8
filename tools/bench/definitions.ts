import { Template } from '#gen/recur/messaging/v1/template.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { Api } from '#tools/library/api.ts';
import { CATEGORY_NAMES } from '#tools/sample-shop/catalogue.ts';

const MICROS = 1_000_000;

/** 47 segments such as marketers write; with the three of the library they are 50. */
export function benchSegments(): Segment[] {
  const segments: Segment[] = [];
  const add = (id: string, rule: object) => segments.push(Segment.fromPartial({ id, rule: Rule.fromPartial(rule) }));
  for (const name of CATEGORY_NAMES) {
    add(`views_${name}`, { category: { name, viewed: { atLeast: 5 } } });
    add(`buys_${name}`, { category: { name, bought: { atLeast: 1 } } });
  }
  for (const days of [1, 7, 30]) {
    for (const count of [3, 10, 30]) {
      add(`viewed_${count}_in_${days}`, { event: { name: 'Product Viewed', days, count: { atLeast: count } } });
    }
    const added = { event: { name: 'Product Added', days } };
    add(`added_not_ordered_${days}`, { all: [added, { not: { event: { name: 'Order Completed', days } } }] });
  }
  const abandoned = { not: { sequence: { first: 'Product Added', second: 'Order Completed', afterLast: true } } };
  add('cart_left', { all: [{ event: { name: 'Product Added' } }, abandoned] });
  for (const count of [1, 2, 3, 5]) add(`orders_${count}`, { orders: { count: { atLeast: count } } });
  for (const net of [500, 1_000, 2_000]) add(`net_${net}`, { orders: { netMicros: { atLeast: net * MICROS } } });
  add('basket_300', { orders: { averageMicros: { atLeast: 300 * MICROS } } });
  for (const days of [1, 30]) add(`quiet_${days}`, { orders: { daysSinceLast: { atLeast: days } } });
  for (const city of ['Shanghai', 'Beijing', 'Wuhan']) {
    add(`in_${city.toLowerCase()}`, { trait: { name: 'city', equals: city } });
  }
  add('reads_chinese', { all: [{ trait: { name: 'locale', equals: 'zh' } }, { orders: { count: { atLeast: 1 } } }] });
  add('guests', { all: [{ identified: false }, { event: { name: 'Product Viewed', count: { atLeast: 5 } } }] });
  for (const source of ['pos', 'tmall']) add(`through_${source}`, { source: { in: [source] } });
  for (const stage of ['loyal', 'at_risk']) add(`stage_${stage}`, { lifecycle: { in: [stage] } });
  add('rfm_best', { rfm: { in: ['important_value'] } });
  return segments;
}

export async function createSegments(api: Pick<Api, 'segmentation'>, segments: readonly Segment[]): Promise<void> {
  for (const segment of segments) await api.segmentation.createSegment({ segment, requestId: `bench-${segment.id}` });
}

/** @param yaml as in services/journey/library */
export async function startJourney(api: Pick<Api, 'journey'>, yaml: string): Promise<void> {
  const { journey, violations } = await api.journey.validateJourney({ form: { $case: 'text', value: yaml } });
  if (!journey || violations.length > 0) {
    throw new Error(violations.map((v) => `${v.field}: ${v.description}`).join('\n'));
  }
  await api.journey.createJourney({ journey, requestId: `bench-${journey.id}` });
  await api.journey.startJourney({ id: journey.id, requestId: `bench-${journey.id}-start` });
}

export async function createTemplate(api: Api, id: string, subject: string): Promise<void> {
  const hello = 'Hello {{ customer.first_name | default: "there" }}';
  const template = Template.fromJSON({
    id,
    name: id,
    channel: 'email',
    content: { subject, text: `${hello},\n\n${subject}.\n`, html: `<p>${hello},</p><p>${subject}.</p>` },
  });
  await api.messaging.createTemplate({ template, requestId: `bench-${id}` });
}

export const CART_REMINDER = `
id: cart_reminder
name: Cart reminder
definition:
  trigger: { event: { name: Product Added } }
  reentry: { rule: always }
  start: hour
  nodes:
    - id: hour
      wait_for_event: { event: { name: Order Completed }, timeout: PT1H, happened: ordered, timed_out: remind }
    - id: remind
      message: { channel: email, template_id: cart_reminder, purpose: marketing, next: reminded }
    - { id: ordered, exit: { reason: ordered } }
    - { id: reminded, exit: { reason: reminded } }
`;

export const BIG_SPENDER = `
id: big_spender
name: Big spender
definition:
  trigger: { segment_entered: net_1000 }
  reentry: { rule: never }
  start: thanks
  nodes:
    - id: thanks
      message: { channel: email, template_id: big_spender, purpose: transactional, next: done }
    - { id: done, exit: { reason: thanked } }
`;

/** The journey of the latency bench: one event, one mail. */
export const SIGNED_UP = `
id: signed_up
name: Signed up
definition:
  trigger: { event: { name: Signed Up } }
  reentry: { rule: never }
  start: confirm
  nodes:
    - id: confirm
      message: { channel: email, template_id: signed_up, purpose: transactional, next: done }
    - { id: done, exit: { reason: sent } }
`;
