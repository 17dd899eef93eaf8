import { afterAll, beforeAll, expect, test } from 'vitest';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { isHeldOut, UNIVERSAL_HOLD_OUT } from '#lib/buckets/buckets.ts';
import { batchesOf } from '#tools/bench/batches.ts';
import { startJourney } from '#tools/bench/definitions.ts';
import { httpSender, sendAll } from '#tools/bench/send.ts';
import { sql } from '#tools/library/sql.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { mailsIn } from './mails.ts';
import { ShopCluster } from './shop-cluster.ts';

/** The hold-out of the whole shop: what all marketing together is worth, as SQL reads it, beside the orders that were placed. */
const PEOPLE = 600;
const DAY_MS = 86_400_000;
const START_MS = Date.parse('2026-05-01T10:00:00+08:00');
const settings = HoldOutSettings.fromPartial({ percent: 40, salt: 'e2e' });
let shop: ShopCluster;

/** Two journeys, so that it is of no journey; each greets those who joined, in its own way. */
const greeting = (id: string, after: string) => `id: ${id}
definition:
  trigger: { event: { name: Joined } }
  start: pause
  nodes:
    - { id: pause, wait: { duration: ${after}, next: mail } }
    - { id: mail, message: { channel: email, template_id: ${id}, purpose: marketing, next: done } }
    - { id: done, exit: {} }`;

const who = (i: number, day: number) => ({
  channel: 'web' as const,
  userId: `member-${i}`,
  timestamp: new Date(START_MS + day * DAY_MS).toISOString(),
});
const joins = Array.from({ length: PEOPLE }, (_, i): ShopEvent[] => [
  { ...who(i, 0), type: 'identify', messageId: `who-${i}`, traits: { email: `member-${i}@example.com` } },
  { ...who(i, 0), type: 'track', event: 'Joined', messageId: `joined-${i}` },
]).flat();
const order = (i: number): ShopEvent => ({
  ...who(i, 4),
  ...{ type: 'track', event: 'Order Completed', messageId: `order-${i}` },
  properties: { order_id: `o-${i}`, total: 50, currency: 'CNY' },
});

async function send(events: readonly ShopEvent[]): Promise<void> {
  const { ingestHttp, writeKeys } = shop.endpoints;
  const sender = httpSender(ingestHttp, writeKeys, 1);
  await sendAll([...batchesOf(events, { from: 100, to: 200 })], 1, sender.send);
  await sender.close();
}

async function passTo(day: number): Promise<void> {
  await shop.api.ingest.advanceClock({ timeMs: START_MS + day * DAY_MS });
  await shop.quiescence.reached(`day ${day}`);
}

beforeAll(async () => {
  shop = await ShopCluster.start({ clock: 'event', timeZone: 'Asia/Shanghai' });
  const { api, quiescence } = shop;
  const { settings: sending } = await api.messaging.getMessagingSettings({});
  const open = { ...sending!, quietStart: '03:00', quietEnd: '03:00' };
  await api.messaging.updateMessagingSettings({ settings: open, requestId: '' });
  await api.segmentation.updateHoldOutSettings({ settings, requestId: '' });
  for (const [id, after] of [
    ['hello', 'P1D'],
    ['offer', 'P2D'],
  ] as const) {
    const template = Template.fromPartial({ id, name: id, channel: 'email', content: { subject: id, text: id } });
    await api.messaging.createTemplate({ template, requestId: '' });
    await startJourney(api, greeting(id, after));
  }
  await quiescence.defined({ segmentation: 1, journey: 3, messaging: 3 });
  await send(joins);
  await passTo(3);
}, 120_000);
afterAll(() => shop?.stop());

test('who is held out gets no marketing; what it is worth is read in SQL', async () => {
  const url = shop.endpoints.clickhouseHttp;
  const mailed = new Map<string, number>();
  for (const mail of await mailsIn(shop.endpoints.mailboxHttp)) {
    const to = mail.split(' ')[0] as string;
    mailed.set(to, (mailed.get(to) ?? 0) + 1);
  }
  // Everybody gets both, or none; and there are some of each.
  expect(new Set(mailed.values())).toEqual(new Set([2]));
  const got = (i: number) => mailed.has(`member-${i}@example.com`);
  const people = Array.from({ length: PEOPLE }, (_, i) => i);
  const treated = people.filter(got);
  const held = people.filter((i) => !got(i));
  expect(held.length / PEOPLE).toBeGreaterThan(0.3);
  expect(held.length / PEOPLE).toBeLessThan(0.5);

  // Half of those who were written to order, and a fifth of the others.
  const ordered = [...treated.filter((_, n) => n % 2 === 0), ...held.filter((_, n) => n % 5 === 0)];
  await send(ordered.map(order));
  await passTo(20);

  const sides = await sql<{ customer_id: string; variant: string }>(
    url,
    `SELECT customer_id, variant FROM v_experiment_customers(days = 7) WHERE experiment_id = '${UNIVERSAL_HOLD_OUT}'`,
  );
  expect(sides).toHaveLength(PEOPLE);
  for (const { customer_id: id, variant } of sides)
    expect(variant, id).toBe(isHeldOut(settings, id) ? 'hold_out' : 'treated');

  const shareOf = (side: readonly number[]) => side.filter((i) => ordered.includes(i)).length / side.length;
  const results = await sql<Record<string, number | string>>(
    url,
    `SELECT variant, control, customers, control_customers, mean, control_mean, effect, effect_low, p FROM v_experiment_results(days = 7)
     WHERE experiment_id = '${UNIVERSAL_HOLD_OUT}' AND metric = 'conversion' AND variant != control`,
  );
  expect(results).toEqual([
    expect.objectContaining({
      ...{ variant: 'treated', control: 'hold_out' },
      ...{ customers: treated.length, control_customers: held.length },
      mean: expect.closeTo(shareOf(treated), 9),
      control_mean: expect.closeTo(shareOf(held), 9),
      effect: expect.closeTo(shareOf(treated) - shareOf(held), 9),
    }),
  ]);
  expect(results[0]?.effect_low).toBeGreaterThan(0);
  expect(results[0]?.p).toBeLessThan(0.001);
}, 60_000);
