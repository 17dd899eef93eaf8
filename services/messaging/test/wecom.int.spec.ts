import { afterAll, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import type { Channel } from '../src/channels/channel.ts';
import { openWecom, WecomChannel } from '../src/channels/wecom/wecom.ts';
import { outboxOf, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const at = (id: string, text: string) =>
  Template.fromPartial({
    ...{ id, name: id, channel: 'wecom' },
    content: { text, subject: 'Your coupon', url: 'https://shop.example/c' },
  });
const TEMPLATES = [
  at('coupon', '您好 {{ customer.first_name }}'),
  at('long', '{% for i in (1..1500) %}您{% endfor %}'),
  at('none', '{{ x }}'),
];

async function open(secret: string = SIMULATOR_KEYS.accessKeySecret) {
  const simulator = await new Simulator().listen();
  closing.push(() => simulator.close());
  const api = openWecom({ corp: { id: SIMULATOR_KEYS.wecomCorp, secret }, connections: 8, endpoint: simulator.url });
  const parts = { api, writer: writerWith(TEMPLATES), sender: 'li.na', connections: 8, perSecond: 1000 };
  const channel = new WecomChannel(parts);
  closing.push(() => channel.close());
  return { simulator, ...outboxOf(channel as Channel) };
}
const contact = (i: number) => `wmSimulated-${String(i).padStart(10, '0')}`;
const coupon = { channel: 'wecom', templateId: 'coupon' };

it.concurrent('arrives as a task: contact, text and page, by one token for all', async () => {
  const { simulator, accept, settled } = await open();
  accept(Array.from({ length: 20 }, (_, i) => workFor(`k${i}`, coupon, contact(i), { first_name: 'Ana' })));
  const outcomes = await settled(20);
  expect(outcomes.filter((o) => o.status === SENT && o.attempts === 1 && o.providerId.startsWith('msg-')).length).toBe(
    20,
  );
  expect(simulator.book.accepted.find((m) => m.to === contact(0))?.content).toEqual({
    text: { content: '您好 Ana' },
    attachments: [{ msgtype: 'link', link: { title: 'Your coupon', url: 'https://shop.example/c' } }],
  });
  expect(simulator.book.calls).toEqual({ 'wecom token': 1, 'wecom 200': 20 });
});

it.concurrent('contacts that are none and texts that are none never leave; who cannot be written to is refused', async () => {
  const { simulator, accept, settled } = await open();
  accept([
    workFor('k1', coupon, 'zhangsan'),
    workFor('k2', coupon, 'wm bad\r\nid'),
    workFor('k3', { ...coupon, templateId: 'long' }, contact(1)),
    workFor('k4', { ...coupon, templateId: 'none' }, contact(1)),
  ]);
  expect(new Set((await settled(4)).map((o) => `${o.status} ${o.reason}`))).toEqual(
    new Set([`${FAILED} bad_address`, `${FAILED} bad_text: must have 1–4000 bytes`]),
  );
  expect(simulator.book.calls).toEqual({});
  simulator.behave({ refuse: 1 });
  accept([workFor('k5', coupon, contact(2))]);
  const refused = (await settled(5)).find((o) => o.idempotencyKey === 'k5');
  expect(refused).toMatchObject({
    status: FAILED,
    attempts: 1,
    reason: expect.stringMatching(/^wecom: cannot be written to/),
  });
  expect(simulator.book.accepted).toEqual([]);
});

it.concurrent('a wrong secret is no reason to lose messages: tried again until it is right', async () => {
  const { simulator, accept, settled } = await open('wrong');
  accept([workFor('k1', coupon, contact(1))]);
  expect((await settled(1))[0]).toMatchObject({
    status: FAILED,
    attempts: 11,
    reason: 'gave up: wecom no token: 40001',
  });
  expect(simulator.book.accepted).toEqual([]);
});

it.concurrent('quotas, errors, cut connections, lost answers: each taken once or not at all, and none lost', async () => {
  const { simulator, accept, settled } = await open();
  const settings = { seed: 7, refuse: 0.05, throttle: 0.2, fail: 0.05, cut: 0.05, lose: 0.15, tokenUses: 60 };
  simulator.behave({ ...settings, latencyMs: [0, 10] });
  accept(Array.from({ length: 300 }, (_, i) => workFor(`k${i}`, coupon, contact(i))));
  const outcomes = await settled(300);
  const taken = simulator.book.accepted.map((m) => m.to);
  expect(new Set(taken).size).toBe(taken.length);
  const takenKeys = new Set(taken.map((to) => `k${Number(to.slice(-10))}`));
  const by = (status: DeliveryStatus) => outcomes.filter((o) => o.status === status).map((o) => o.idempotencyKey);
  expect(outcomes.length).toBe(300);
  expect(by(SENT).filter((key) => !takenKeys.has(key))).toEqual([]);
  expect(by(FAILED).filter((key) => takenKeys.has(key))).toEqual([]);
  expect(by(SENT).length + by(UNKNOWN).filter((key) => takenKeys.has(key)).length).toBe(taken.length);
  expect(simulator.book.calls['wecom lost']).toBeGreaterThan(20);
  expect(simulator.book.calls['wecom 42001']).toBeGreaterThan(0);
});
