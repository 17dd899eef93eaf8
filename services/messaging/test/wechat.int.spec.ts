import { afterAll, describe, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import type { Channel } from '../src/channels/channel.ts';
import { WECHAT_KINDS, WechatChannel } from '../src/channels/wechat/wechat.ts';
import { openWechat } from '../src/channels/wechat/wechat-api.ts';
import { outboxOf, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Name = keyof typeof WECHAT_KINDS;
const NAMES = Object.keys(WECHAT_KINDS) as Name[];
const { wechatAccount, wechatMini, accessKeySecret } = SIMULATOR_KEYS;

async function open(name: Name, { secret = accessKeySecret as string } = {}) {
  const simulator = await new Simulator().listen();
  closing.push(() => simulator.close());
  const app = { id: name === 'wechat_mini' ? wechatMini : wechatAccount, secret };
  const api = openWechat({ app, connections: 8, endpoint: simulator.url });
  const template = Template.fromPartial({
    ...{ id: 'coupon', name: 'Coupon', channel: name },
    content: {
      providerTemplate: 'ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY',
      parameters: { thing1: '{{ customer.first_name | default: "您" }}', amount2: '9.9元' },
      url: name === 'wechat_mini' ? 'pages/coupon?id=7' : 'https://shop.example/coupon',
    },
  });
  const channel = new WechatChannel(name, { api, writer: writerWith([template]), connections: 8, perSecond: 1000 });
  closing.push(() => channel.close());
  return { simulator, ...outboxOf(channel as Channel) };
}
const openId = (i: number) => `oSimulated_OpenId-${String(i).padStart(10, '0')}`;
const coupon = (channel: Name) => ({ channel, templateId: 'coupon' });

describe.concurrent.each(NAMES)('%s', (name) => {
  it('arrives: OpenID, template, values and where it leads to, by one token for all', async () => {
    const { simulator, accept, settled } = await open(name);
    const works = Array.from({ length: 20 }, (_, i) =>
      workFor(`k${i}`, coupon(name), openId(i), { first_name: 'Ana' }),
    );
    accept(works);
    const outcomes = await settled(20);
    expect(new Set(outcomes.map((o) => `${o.status} ${o.attempts} ${o.channel}`))).toEqual(
      new Set([`${SENT} 1 ${name}`]),
    );
    expect(outcomes[0]?.providerId).toMatch(/^\d+$/);
    const link = name === 'wechat_mini' ? { page: 'pages/coupon?id=7' } : {};
    expect(simulator.book.accepted.find((m) => m.to === openId(0))?.content).toMatchObject({
      ...{ path: WECHAT_KINDS[name].path, template: 'ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY', ...link },
      data: { thing1: { value: 'Ana' }, amount2: { value: '9.9元' } },
    });
    expect(simulator.book.calls).toEqual({ 'wechat token': 1, 'wechat 200': 20 });
  });

  it('a token whose time is up: another one for all, and every message goes out once', async () => {
    const { simulator, accept, settled } = await open(name);
    simulator.behave({ tokenUses: 60, latencyMs: [0, 10] });
    accept(Array.from({ length: 200 }, (_, i) => workFor(`k${i}`, coupon(name), openId(i))));
    const outcomes = await settled(200);
    expect(outcomes.filter((o) => o.status === SENT && o.attempts === 1).length).toBe(200);
    expect(new Set(simulator.book.accepted.map((m) => m.to)).size).toBe(200);
    expect(simulator.book.accepted.length).toBe(200);
    expect(simulator.book.calls['wechat 42001']).toBeGreaterThan(0);
    expect(simulator.book.calls['wechat token']).toBe(4);
  });

  it('what is refused is refused for its reason; OpenIDs that are none never leave', async () => {
    const { simulator, accept, settled } = await open(name);
    accept([
      workFor('k1', coupon(name), 'x'.repeat(28)),
      workFor('k2', coupon(name), 'o bad\r\nid'),
      workFor('k3', coupon(name)),
    ]);
    const by = (outcomes: readonly { idempotencyKey: string; status: number; reason: string }[], key: string) =>
      outcomes.find((o) => o.idempotencyKey === key);
    const outcomes = await settled(3);
    expect(by(outcomes, 'k1')).toMatchObject({ status: FAILED, reason: 'wechat 40003: no such OpenID in this app' });
    expect(by(outcomes, 'k2')).toMatchObject({ status: FAILED, reason: 'bad_address' });
    expect(by(outcomes, 'k3')).toMatchObject({ status: FAILED, reason: 'bad_address' });
    accept([workFor('k4', coupon(name), openId(1), { first_name: 'a name of more than twenty' })]);
    expect(by(await settled(4), 'k4')?.reason).toBe('wechat 47003: a value the template does not take');
    simulator.behave({ refuse: 1 });
    accept([workFor('k5', coupon(name), openId(1))]);
    expect(by(await settled(5), 'k5')).toMatchObject({
      ...{ status: FAILED, attempts: 1, reason: 'wechat 43101: the customer refused such messages' },
    });
    expect(simulator.book.accepted).toEqual([]);
  });

  it('a wrong secret is no reason to lose messages: tried again until it is right', async () => {
    const { simulator, accept, settled } = await open(name, { secret: 'wrong' });
    accept([workFor('k1', coupon(name), openId(1))]);
    const [outcome] = await settled(1);
    expect(outcome).toMatchObject({ status: FAILED, attempts: 11, reason: 'gave up: wechat no token: 40125' });
    expect(simulator.book.accepted).toEqual([]);
  });

  it('quotas, errors, cut connections, lost answers: each taken once or not at all, and none lost', async () => {
    const { simulator, accept, settled } = await open(name);
    const settings = { seed: 7, refuse: 0.05, throttle: 0.2, fail: 0.05, cut: 0.05, lose: 0.15, tokenUses: 60 };
    simulator.behave({ ...settings, latencyMs: [0, 10] });
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    accept(keys.map((key, i) => workFor(key, coupon(name), openId(i))));
    const outcomes = await settled(keys.length);
    expect(outcomes.length).toBe(keys.length);
    const taken = simulator.book.accepted.map((m) => m.to);
    expect(new Set(taken).size).toBe(taken.length);
    const by = (status: DeliveryStatus) => outcomes.filter((o) => o.status === status).map((o) => o.idempotencyKey);
    const takenKeys = new Set(taken.map((to) => `k${Number(to.slice(-10))}`));
    // What was said to be sent was taken, and what was said to have failed was not.
    expect(by(SENT).filter((key) => !takenKeys.has(key))).toEqual([]);
    expect(by(FAILED).filter((key) => takenKeys.has(key))).toEqual([]);
    const lost = simulator.book.calls['wechat lost'] ?? 0;
    expect(lost).toBeGreaterThan(20);
    const lostFate = by(UNKNOWN).filter((key) => takenKeys.has(key));
    // Under the same id a template message may be sent again until there is an answer; the others stay unknown.
    if (name === 'wechat_template') expect(by(UNKNOWN).length).toBeLessThan(lost / 2);
    else expect(lostFate.length).toBeGreaterThan(20);
    expect(by(SENT).length + lostFate.length).toBe(taken.length);
  }, 60_000);
});

it('nobody there: nothing was sent; an answer too late: nobody knows', async () => {
  const body = { touser: openId(1), template_id: 'abc', data: {} };
  const { path } = WECHAT_KINDS.wechat_mini;
  const simulator = await new Simulator().listen();
  const app = { id: wechatMini, secret: accessKeySecret };
  const api = openWechat({ app, connections: 1, callMs: 1500, endpoint: simulator.url });
  closing.push(() => api.close());
  expect(await api.post(path, body)).toMatchObject({ answer: { errcode: 0 } });
  simulator.behave({ latencyMs: [4000, 4000] });
  expect(await api.post(path, body)).toEqual({ failed: { kind: 'lost', reason: 'wechat TimeoutError' } });
  await simulator.close();
  expect(await api.post(path, body)).toEqual({
    failed: { kind: 'later', reason: 'wechat ECONNREFUSED', reached: false },
  });
});
