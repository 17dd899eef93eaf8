import { afterAll, describe, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import type { Channel } from '../src/channels/channel.ts';
import { AliyunSms } from '../src/channels/sms/aliyun.ts';
import { SmsChannel, type SmsProvider } from '../src/channels/sms/sms.ts';
import { TencentSms } from '../src/channels/sms/tencent.ts';
import { outboxOf, tokens, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Key {
  readonly secret: string;
  readonly callMs?: number;
}
const { accessKeyId, accessKeySecret, smsAppId: appId } = SIMULATOR_KEYS;
const name = '{{ customer.first_name | default: "there" }}';

/** What differs between providers. */
const PROVIDERS = [
  {
    provider: 'aliyun',
    open: ({ secret, callMs }: Key, endpoint: string): Promise<SmsProvider> =>
      AliyunSms.open({ accessKeyId, accessKeySecret: secret, endpoint, callMs }),
    text: { providerTemplate: 'SMS_1', parameters: { name, code: 'A1' } },
    numbers: ['13900000001', '4915112345678'],
    values: [{ name: 'Ana', code: 'A1' }, { name: 'there' }],
    serial: /^biz-/,
    badSecret: 'aliyun SignatureDoesNotMatch',
    found: 'found by its OutId',
  },
  {
    provider: 'tencent',
    open: ({ secret, callMs }: Key, endpoint: string): Promise<SmsProvider> =>
      TencentSms.open({ secretId: accessKeyId, secretKey: secret, appId, endpoint, callMs }),
    text: { providerTemplate: '1110', parameters: { '1': name, '2': 'A1' } },
    numbers: ['+8613900000001', '+4915112345678'],
    values: [
      ['Ana', 'A1'],
      ['there', 'A1'],
    ],
    serial: /^sid-/,
    badSecret: 'tencent AuthFailure.SignatureFailure',
    found: 'found by its SessionContext',
  },
];
const coupon = { channel: 'sms', templateId: 'coupon' };

describe.concurrent.each(PROVIDERS)('SMS by $provider', ({ provider, open: openProvider, text, ...its }) => {
  async function open(key: Partial<Key> = {}) {
    const simulator = await new Simulator().listen();
    closing.push(() => simulator.close());
    const sms = await openProvider({ secret: accessKeySecret, ...key }, simulator.url);
    const template = Template.fromPartial({ id: 'coupon', name: 'Coupon', channel: 'sms', content: text });
    const writer = writerWith([template], { smsSignature: '小店' });
    const channel = new SmsChannel({ provider: sms, writer, tokens, connections: 8, perSecond: 1000 }) as Channel;
    return { simulator, channel, ...outboxOf(channel) };
  }

  it('arrives by the provider’s SDK: number, signature, text and variables', async () => {
    const { simulator, accept, settled } = await open();
    accept([workFor('k1', coupon, '+8613900000001', { first_name: 'Ana' }), workFor('k2', coupon, '+4915112345678')]);
    expect(await settled(2)).toMatchObject([
      { status: SENT, channel: 'sms', attempts: 1, providerId: expect.stringMatching(its.serial) },
      { status: SENT },
    ]);
    const taken = [...simulator.book.accepted].sort((a, b) => its.numbers.indexOf(a.to) - its.numbers.indexOf(b.to));
    const { providerTemplate: template } = text;
    expect(taken).toMatchObject([
      { to: its.numbers[0], content: { sign: '小店', template, parameters: its.values[0] } },
      { to: its.numbers[1], content: { parameters: its.values[1] } },
    ]);
    expect(tokens.read('receipt', taken[0]?.reference ?? '')).toEqual({
      customerId: 'c-k1',
      key: 'k1',
      channel: 'sms',
    });
  });

  it('a number that is none is refused before the provider sees it', async () => {
    const { simulator, accept, settled } = await open();
    accept([workFor('k1', coupon, '139 0000 0001'), workFor('k2', coupon, '+86139\n1')]);
    expect(await settled(2)).toMatchObject([
      { status: FAILED, reason: 'bad_address' },
      { status: FAILED, reason: 'bad_address' },
    ]);
    expect(simulator.book.calls).toEqual({});
  });

  it('taken, and the answer lost: found by the query, though it shows late', async () => {
    const { simulator, accept, settled } = await open();
    simulator.behave({ lose: 1, showAfterMs: 100 });
    accept([workFor('k1', coupon, '+8613900000001')]);
    expect(await settled(1)).toMatchObject([{ status: SENT, attempts: 1, reason: its.found }]);
    expect(simulator.book.accepted.length).toBe(1);
  });

  it('a wrong secret is no reason to lose messages: tried again until it is right', async () => {
    const { simulator, accept, settled } = await open({ secret: 'wrong' });
    accept([workFor('k1', coupon, '+8613900000001')]);
    expect(await settled(1)).toMatchObject([{ status: FAILED, attempts: 11, reason: `gave up: ${its.badSecret}` }]);
    expect(simulator.book.accepted).toEqual([]);
  });

  it('throttling, errors, cut connections, lost answers: each taken once or not at all, and none lost', async () => {
    const { simulator, accept, settled } = await open();
    simulator.behave({ seed: 42, refuse: 0.05, throttle: 0.2, fail: 0.05, cut: 0.05, lose: 0.15, latencyMs: [0, 20] });
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    accept(keys.map((key, i) => workFor(key, coupon, `+86139${String(i).padStart(8, '0')}`)));
    const outcomes = await settled(keys.length);
    expect(outcomes.length).toBe(keys.length);
    const taken = simulator.book.accepted.map((m) => tokens.read('receipt', m.reference)?.key ?? '');
    expect(new Set(taken).size).toBe(taken.length);
    const by = (status: DeliveryStatus) => outcomes.filter((o) => o.status === status).map((o) => o.idempotencyKey);
    expect(by(SENT).sort()).toEqual([...taken].sort());
    expect(by(FAILED).length + by(UNKNOWN).length).toBe(keys.length - taken.length);
    // Of those nobody knows of, none was tried again.
    const unknown = outcomes.filter((o) => o.status === UNKNOWN);
    expect(unknown.length).toBeGreaterThan(5);
    for (const { reason } of unknown)
      expect(reason).toBe('the answer was lost, and the provider does not show the message');
    expect(simulator.book.calls[`${provider} lost`]).toBeGreaterThan(20);
  }, 120_000);
});

it('Tencent takes variables in order only: others are refused before a call', async () => {
  const simulator = await new Simulator().listen();
  closing.push(() => simulator.close());
  const sms = await TencentSms.open({
    secretId: accessKeyId,
    secretKey: accessKeySecret,
    appId,
    endpoint: simulator.url,
  });
  const message = { to: '+8613900000001', signature: '小店', template: '1110', reference: 'r' };
  expect(await sms.send({ ...message, parameters: { '1': 'a', '3': 'b' } })).toMatchObject({ kind: 'refused' });
  expect(simulator.book.calls).toEqual({});
});

it.each(PROVIDERS)('$provider not there: nothing was sent; an answer too late: nobody knows', async ({ open }) => {
  const simulator = await new Simulator().listen();
  const { url } = simulator;
  const message = { to: '+8613900000001', signature: '小店', template: 'SMS_1', parameters: {}, reference: 'r' };
  simulator.behave({ latencyMs: [4000, 4000] });
  const slow = await open({ secret: accessKeySecret, callMs: 1500 }, url);
  expect(await slow.send(message)).toMatchObject({ kind: 'lost' });
  await simulator.close();
  const gone = await open({ secret: accessKeySecret }, url);
  expect(await gone.send(message)).toMatchObject({ kind: 'later', reached: false });
});
