import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import type { Channel } from '../src/channels/channel.ts';
import { openWecom, WecomChannel } from '../src/channels/wecom/wecom.ts';
import { WecomResults } from '../src/channels/wecom/wecom-results.ts';
import type { Receipt } from '../src/links/receipt.ts';
import { TaskLedger } from '../src/store/task-ledger.ts';
import { outboxOf, tokens, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const servers = withServers({ redis: true });
/** Every test has one to itself. */
let databases = 0;
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

/** @param now what the ledger takes for the time */
async function open(secret: string = SIMULATOR_KEYS.accessKeySecret, now: () => number = Date.now) {
  const simulator = await new Simulator().listen();
  closing.push(() => simulator.close());
  const api = openWecom({ corp: { id: SIMULATOR_KEYS.wecomCorp, secret }, connections: 8, endpoint: simulator.url });
  const redis = new Redis(servers.redis.url, { db: databases++ });
  closing.push(() => redis.disconnect());
  const ledger = new TaskLedger(redis, tokens, now);
  const parts = { api, writer: writerWith(TEMPLATES), ledger, sender: 'li.na', connections: 8, perSecond: 1000 };
  const channel = new WecomChannel(parts);
  closing.push(() => channel.close());
  return { simulator, channel, ledger, redis, ...outboxOf(channel as Channel) };
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
    sender: 'li.na',
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
  const unfound = by(UNKNOWN).filter((key) => takenKeys.has(key));
  expect(by(SENT).length + unfound.length).toBe(taken.length);
  const lost = simulator.book.calls['wecom lost'] ?? 0;
  expect(lost).toBeGreaterThan(20);
  // A lookup is five calls or more, each refused, cut or throttled as any: of eleven tries one fails in five, in some runs
  // one in three.
  expect(unfound.length).toBeLessThan(lost * 0.6);
  expect(simulator.book.calls['wecom 42001']).toBeGreaterThan(0);
});

it.concurrent('an answer that was lost is found among the tasks, by text and contact; what was not taken stays unknown', async () => {
  const { simulator, accept, settled } = await open();
  simulator.behave({ lose: 1 });
  accept([1, 2, 3].map((i) => workFor(`k${i}`, coupon, contact(i), { first_name: 'Ana' })));
  const found = await settled(3);
  for (const { status, reason, providerId, idempotencyKey } of found) {
    expect([status, reason]).toEqual([SENT, 'found among the tasks']);
    const { to } = simulator.book.accepted.find((m) => m.providerId === providerId) ?? {};
    expect(to).toBe(contact(Number(idempotencyKey.slice(1))));
  }
  // The same text to the same contact once more, not taken: the first task is not taken for it.
  simulator.behave({ seed: 3, cut: 0.5, noReceipt: 1 });
  accept(Array.from({ length: 10 }, (_, i) => workFor(`again${i}`, coupon, contact(1), { first_name: 'Ana' })));
  const again = (await settled(13)).filter((o) => o.idempotencyKey.startsWith('again'));
  const sent = again.filter((o) => o.status === SENT);
  expect(new Set(sent.map((o) => o.providerId)).size).toBe(sent.length);
  expect(sent.length).toBe(simulator.book.accepted.length - 3);
  expect(again.filter((o) => o.status === UNKNOWN).length).toBe(10 - sent.length);
  expect(sent.length).toBeLessThan(10);
});

it('what became of tasks is asked until somebody has sent them, and becomes receipts', async () => {
  let now = Date.now();
  const { simulator, channel, ledger, redis, accept, settled } = await open(undefined, () => now);
  const told: Receipt[] = [];
  let logAnswers = false;
  const store = async (receipts: readonly Receipt[]) => {
    if (logAnswers) told.push(...receipts);
    return logAnswers;
  };
  const about = { tasks: channel.tasks, ledger, store, logger: pino({ level: 'silent' }), now: () => now };
  // A round that takes longer than this is joined by the other process: busy machines need more for one than they seem to.
  const everyMs = 400;
  const processes = [1, 2].map(() => new WecomResults({ ...about, everyMs }));
  const calls = () => simulator.book.calls['wecom 200'] ?? 0;
  const rounds = () => new Promise((resolve) => setTimeout(resolve, 3 * everyMs));
  simulator.behave({ bounce: 1 });
  accept([workFor('blocked', coupon, contact(1))]);
  await settled(1);
  simulator.behave({});
  accept([workFor('sent', coupon, contact(2))]);
  await settled(2);
  simulator.behave({ noReceipt: 1 });
  accept([workFor('waits', coupon, contact(3))]);
  await settled(3);
  for (const one of processes) one.onModuleInit();
  // Nobody is asked in the first minute; then every task, and again, as long as the log does not answer.
  const before = calls();
  await rounds();
  expect(calls()).toBe(before);
  now += 61_000;
  await vi.waitFor(() => expect(calls()).toBeGreaterThan(before + 8), 10_000);
  logAnswers = true;
  await vi.waitFor(() => expect(told.length).toBe(2), 10_000);
  // The log may begin to answer between one task and the next: either may be told first.
  expect(told.toSorted((a, b) => a.key.localeCompare(b.key))).toMatchObject([
    {
      ...{ key: 'blocked', customerId: 'c-blocked', channel: 'wecom', kind: 'bounced', bounceType: 'soft' },
      reason: 'wecom 2: no contact of the sender',
    },
    { key: 'sent', customerId: 'c-sent', channel: 'wecom', kind: 'delivered' },
  ]);
  await rounds();
  const asked = calls();
  await rounds();
  expect(calls()).toBe(asked);
  now += 61_000;
  await vi.waitFor(() => expect(calls()).toBe(asked + 2), 10_000);
  // For a week, not for ever.
  now += 8 * 86_400_000;
  await vi.waitFor(async () => expect(await redis.zcard('messaging:wecom:waiting')).toBe(0), 10_000);
  for (const one of processes) await one.onApplicationShutdown();
  expect(told.length).toBe(2);
}, 60_000);
