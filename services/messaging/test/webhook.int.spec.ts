import { afterEach, describe, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import type { Channel } from '../src/channels/channel.ts';
import type { Lookup } from '../src/channels/webhook/public-lookup.ts';
import { WebhookChannel } from '../src/channels/webhook/webhook.ts';
import { outboxOf, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const at = (id: string, path: string, text = '{"points": {{ customer.points | default: 0 }}}') =>
  Template.fromPartial({
    ...{ id, name: id, channel: 'webhook' },
    content: { subject: 'points.granted', text, url: `https://hooks.shop.example${path}` },
  });
const TEMPLATES = [
  at('points', '/webhook/points'),
  at('moved', '/webhook/elsewhere'),
  at('broken', '/webhook/x', '{"a":'),
];
const here: Lookup = async () => [{ address: '127.0.0.1', family: 4 }];

/** A channel that takes the simulator for hooks.shop.example; the way there is plain, everything else as it is in production. */
async function open(more: Partial<ConstructorParameters<typeof WebhookChannel>[0]> = {}) {
  const simulator = await new Simulator().listen();
  closing.push(() => simulator.close());
  const secrets = [`whsec_${Buffer.alloc(32, 'n').toString('base64')}`, SIMULATOR_KEYS.webhookSecret];
  const parts = {
    writer: writerWith(TEMPLATES),
    secrets,
    connections: 4,
    lookup: here,
    allows: () => true,
  };
  const real = new WebhookChannel({ ...parts, ...more });
  closing.push(() => real.close());
  const { port } = new URL(simulator.url);
  const plain = (url: string) => url.replace('https://hooks.shop.example', `http://hooks.shop.example:${port}`);
  const channel: Channel = {
    ...{ name: real.name, connections: real.connections, close: () => undefined },
    compose: (send) => real.compose(send),
    call: (message) =>
      real.call({
        ...(message as { url: string; id: string; body: string }),
        url: plain((message as { url: string }).url),
      }),
  };
  return { simulator, real, port, ...outboxOf(channel) };
}
const request = (templateId: string) => ({ channel: 'webhook', templateId, nodeId: 'n' });

describe('a webhook', () => {
  it('arrives signed, with what the template says and whom it is about', async () => {
    const { simulator, accept, settled } = await open();
    accept([workFor('k1', request('points'), undefined, {})]);
    expect(await settled(1)).toMatchObject([{ status: SENT, providerId: expect.stringMatching(/^msg_[0-9a-f]{32}$/) }]);
    expect(simulator.book.accepted).toMatchObject([
      {
        to: '/webhook/points',
        content: { type: 'points.granted', customer_id: 'c-k1', journey_id: 'j', node_id: 'n', data: { points: 0 } },
      },
    ]);
  });

  it('with another secret is not taken', async () => {
    const { accept, settled } = await open({ secrets: [`whsec_${Buffer.alloc(32, 'x').toString('base64')}`] });
    accept([workFor('k1', request('points'))]);
    expect(await settled(1)).toMatchObject([{ status: FAILED, reason: 'webhook 401' }]);
  });

  it('429 and 500 are tried again; a lost answer is unknown; each arrives once', async () => {
    const { simulator, accept, settled } = await open();
    simulator.behave({ seed: 3, throttle: 0.3, fail: 0.1, lose: 0.2 });
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    accept(keys.map((key) => workFor(key, request('points'))));
    const outcomes = await settled(60);
    const taken = simulator.book.accepted.map((m) => m.reference);
    expect(new Set(taken).size).toBe(taken.length);
    const sent = outcomes.filter((o) => o.status === SENT).map((o) => o.idempotencyKey);
    const unknown = outcomes.filter((o) => o.status === UNKNOWN).map((o) => o.idempotencyKey);
    // On a busy machine a call may end before it arrived: nobody knows of it, either.
    expect(sent.filter((key) => !taken.includes(key))).toEqual([]);
    expect(taken.filter((key) => !sent.includes(key) && !unknown.includes(key))).toEqual([]);
    expect(unknown.length).toBeGreaterThan(3);
  });

  it('what is no JSON object fails without a call', async () => {
    const { simulator, accept, settled } = await open();
    accept([workFor('k1', request('broken'))]);
    expect(await settled(1)).toMatchObject([
      { status: FAILED, attempts: 0, reason: 'bad_json: text must give a JSON object' },
    ]);
    expect(simulator.book.calls).toEqual({});
  });
});

describe('a webhook does not go', () => {
  it('where a redirect leads', async () => {
    const { simulator, accept, settled } = await open();
    accept([workFor('k1', request('moved'))]);
    expect(await settled(1)).toMatchObject([{ status: FAILED, reason: 'webhook 302: redirects are not followed' }]);
    expect(simulator.book.calls).toEqual({ 'webhook 302': 1 });
  });

  it.each([
    ['127.0.0.1', 4],
    ['169.254.169.254', 4],
    ['10.1.2.3', 4],
    ['::1', 6],
    ['::ffff:127.0.0.1', 6],
    ['fe80::1', 6],
    ['64:ff9b::7f00:1', 6],
  ] as const)('to a name that stands for %s', async (address, family) => {
    const lookup: Lookup = async () => [
      { address: '93.184.215.14', family: 4 },
      { address, family },
    ];
    const { simulator, real, port } = await open({ lookup, allows: undefined as never });
    const answer = await real.call({ url: `http://hooks.shop.example:${port}/webhook/points`, id: 'm', body: '{}' });
    expect(answer).toEqual({ kind: 'refused', reason: 'webhook not a public address' });
    expect(simulator.book.calls).toEqual({});
  });

  it('to where a name leads after it was looked at', async () => {
    let asked = 0;
    const rebinding: Lookup = async () => [
      asked++ === 0 ? { address: '192.0.2.1', family: 4 } : { address: '127.0.0.1', family: 4 },
    ];
    // The first address is let through for the test's sake: nothing answers there.
    const { simulator, real, port } = await open({ lookup: rebinding, allows: (a) => a === '192.0.2.1', callMs: 400 });
    const call = { url: `http://hooks.shop.example:${port}/webhook/points`, id: 'm', body: '{}' };
    const first = await real.call(call);
    expect(asked).toBe(1);
    expect(first.kind).not.toBe('accepted');
    expect(await real.call(call)).toEqual({ kind: 'refused', reason: 'webhook not a public address' });
    expect(simulator.book.calls).toEqual({});
  });
});
