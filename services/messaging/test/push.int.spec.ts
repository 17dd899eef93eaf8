import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { APNS } from '#tools/provider-simulator/push-accounts.ts';
import { Simulator } from '#tools/provider-simulator/simulator.ts';
import type { Channel } from '../src/channels/channel.ts';
import { ApnsChannel } from '../src/channels/push/apns.ts';
import { FcmChannel } from '../src/channels/push/fcm.ts';
import { H2Client } from '../src/channels/push/h2-client.ts';
import type { HttpCall } from '../src/channels/push/http-call.ts';
import { WebPushChannel } from '../src/channels/push/web-push.ts';
import { parseServiceAccount, parseVapidKeys } from '../src/core/push-credentials.ts';
import { Links } from '../src/links/mark-up.ts';
import { ownReceipts } from '../src/links/provider-receipts.ts';
import { outboxOf, tokens, workFor, writerWith } from './channel-rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const HOST = 'https://push.browser.example';
const links = new Links('https://shop.example', tokens);

/** What differs between providers. */
const PROVIDERS: readonly {
  name: string;
  open(simulator: Simulator, more?: object): Promise<Channel>;
  address(simulator: Simulator, n: number): string;
  gone: string;
  goneReason: string;
  badKey: string;
}[] = [
  {
    name: 'fcm',
    open: async (simulator, more) => {
      const account = parseServiceAccount(simulator.accounts.serviceAccount);
      return (await FcmChannel.open({ ...partsFor('fcm'), account, endpoint: simulator.url, ...more })) as Channel;
    },
    address: (_, n) => `device-token:APA91b-simulated-${n}`,
    gone: 'gone-device-token:APA91b-simulated',
    goneReason: 'fcm UNREGISTERED: the address is gone',
    badKey: 'gave up: fcm token invalid_grant',
  },
  {
    name: 'apns',
    open: async (simulator, more) => {
      const privateKey = simulator.accounts.apnsKey;
      const parts = { ...partsFor('apns'), ...APNS, privateKey, endpoint: simulator.http2Url, ...more };
      return (await ApnsChannel.open(parts)) as Channel;
    },
    address: (_, n) => n.toString(16).padStart(64, 'a'),
    gone: 'dead'.repeat(16),
    goneReason: 'apns Unregistered: the address is gone',
    badKey: 'gave up: apns InvalidProviderToken',
  },
  {
    name: 'web_push',
    open: async (simulator, more) => {
      const vapid = parseVapidKeys(simulator.accounts.vapidKeys);
      const here = async () => [{ address: '127.0.0.1', family: 4 }];
      const real = new WebPushChannel({ ...partsFor('web_push'), vapid, lookup: here, allows: () => true, ...more });
      // The way there is plain, everything else as it is in production.
      const { port } = new URL(simulator.url);
      const plain = ({ url, ...call }: HttpCall) => ({
        ...call,
        url: url.replace(HOST, `http://push.example:${port}`),
      });
      const { name, connections, perSecond } = real;
      return {
        ...{ name, connections, perSecond, close: () => real.close(), compose: (send) => real.compose(send) },
        call: (message) => real.call(plain(message as HttpCall)),
      };
    },
    address: (simulator, n) => JSON.stringify(simulator.webPush.browser(`b${n}`).subscription(HOST)),
    gone: JSON.stringify(new Simulator().webPush.browser('gone').subscription(HOST)),
    goneReason: 'web_push 410: the address is gone',
    badKey: 'web_push 403',
  },
];

function partsFor(channel: string) {
  const content = {
    subject: 'For {{ customer.first_name | default: "you" }}',
    text: 'A coupon',
    url: 'https://shop.example/c',
  };
  const coupon = Template.fromPartial({
    id: 'coupon',
    channel,
    content: { ...content, parameters: { code: '{{ journey.code }}' } },
  });
  const large = Template.fromPartial({ id: 'large', channel, content: { ...content, text: '{{ "x" }}'.repeat(5000) } });
  return { writer: writerWith([coupon, large]), tokens, links, connections: 8, perSecond: 5000 };
}

describe.concurrent.each(PROVIDERS)('push by $name', ({ name, open, address, gone, goneReason, badKey }) => {
  async function start(more?: object, keysOf?: Simulator) {
    const simulator = await new Simulator().listen();
    closing.push(() => simulator.close());
    if (keysOf) Object.defineProperty(simulator, 'accounts', { get: () => keysOf.accounts });
    const channel = await open(simulator, more);
    closing.push(() => channel.close());
    return { simulator, ...outboxOf(channel) };
  }
  const work = (simulator: Simulator, key: string, n: number, templateId = 'coupon') =>
    workFor(key, { channel: name, templateId }, address(simulator, n), { first_name: 'Ana' });

  it('arrives with title, text, values, a link that leads here first, and what receipts name it by', async () => {
    const { simulator, accept, settled } = await start();
    accept([work(simulator, 'k1', 1)]);
    expect(await settled(1)).toMatchObject([{ status: SENT, providerId: expect.stringMatching(/\S/) }]);
    const [taken] = simulator.book.accepted;
    expect(JSON.stringify(taken?.content)).toMatch(
      /"title":"For Ana".*"body":"A coupon"|"body":"A coupon".*"title":"For Ana"/,
    );
    expect(JSON.stringify(taken?.content)).toContain('"url":"https://shop.example/m/c/');
    const about = { customerId: 'c-k1', key: 'k1', channel: name };
    expect(tokens.read('receipt', taken?.reference ?? '')).toEqual(about);
  });

  it('latency, refusals, throttling, breakdowns and lost answers: nothing accepted twice, no outcome untrue', async () => {
    const { simulator, accept, settled } = await start();
    simulator.behave({ seed: 5, throttle: 0.15, fail: 0.1, refuse: 0.05, lose: 0.15, cut: 0.05, latencyMs: [0, 15] });
    const keys = Array.from({ length: 80 }, (_, i) => `k${i}`);
    accept(keys.map((key, i) => work(simulator, key, i)));
    const outcomes = await settled(80);
    expect(outcomes).toHaveLength(80);
    const taken = simulator.book.accepted.map(({ reference }) => tokens.read('receipt', reference)?.key ?? '');
    expect(new Set(taken).size).toBe(taken.length);
    const of = (status: DeliveryStatus) => outcomes.filter((o) => o.status === status).map((o) => o.idempotencyKey);
    expect(of(SENT).filter((key) => !taken.includes(key))).toEqual([]);
    expect(of(FAILED).filter((key) => taken.includes(key))).toEqual([]);
    // Lost answers are not repeated, and nobody says they were not sent.
    expect(of(UNKNOWN).length).toBeGreaterThan(5);
    expect(of(FAILED).length).toBeGreaterThan(0);
    expect(of(SENT).length).toBeGreaterThan(40);
  });

  it('a device that is gone, an address that is none, a message too large: refused, with why', async () => {
    const { simulator, accept, settled } = await start();
    accept([
      workFor('gone', { channel: name, templateId: 'coupon' }, gone),
      workFor('none', { channel: name, templateId: 'coupon' }, 'x y'),
      work(simulator, 'large', 1, 'large'),
    ]);
    const outcomes = (await settled(3)).map(({ idempotencyKey, status, reason }) => [idempotencyKey, status, reason]);
    expect(outcomes.sort()).toEqual([
      ['gone', FAILED, goneReason],
      ['large', FAILED, expect.stringMatching(/^too_large: more than \d+ bytes$/)],
      ['none', FAILED, 'bad_address'],
    ]);
    expect(simulator.book.accepted).toEqual([]);
  });

  it('with the keys of somebody else nothing is taken', async () => {
    const stranger = await new Simulator().listen();
    closing.push(() => stranger.close());
    const simulator = await new Simulator().listen();
    closing.push(() => simulator.close());
    const foreign = Object.create(simulator, {
      accounts: { get: () => foreignKeys(stranger, simulator) },
    }) as Simulator;
    const channel = await open(foreign);
    closing.push(() => channel.close());
    const { accept, settled } = outboxOf(channel);
    accept([work(simulator, 'k1', 1)]);
    expect(await settled(1)).toMatchObject([{ status: FAILED, reason: badKey }]);
    expect(simulator.book.accepted).toEqual([]);
  });

  it('receipts come late and twice, in a form the shop may hand on', async () => {
    const { simulator, accept, settled } = await start();
    const told: unknown[] = [];
    const shop = await shopServer((body) => told.push(body));
    simulator.behave({ receiptUrl: shop.url, receiptMs: [20, 60], duplicateReceipt: 1 });
    accept([work(simulator, 'k1', 1)]);
    await settled(1);
    for (const until = Date.now() + 10_000; told.length < 2 && Date.now() < until; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(told).toHaveLength(2);
    for (const body of told)
      expect(ownReceipts(body, tokens, Date.now())).toMatchObject({
        receipts: [{ customerId: 'c-k1', key: 'k1', channel: name, kind: 'delivered' }],
      });
  });
});

/** As the simulator's, but made for another one. */
function foreignKeys(stranger: Simulator, simulator: Simulator) {
  const serviceAccount = stranger.accounts.serviceAccount.replace(stranger.url, simulator.url);
  return { ...stranger.accounts, serviceAccount };
}

async function shopServer(take: (body: unknown) => void) {
  const { createServer: plain } = await import('node:http');
  const server = plain((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      take(JSON.parse(Buffer.concat(chunks).toString()));
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('what only one of them has', () => {
  it('FCM: a token that was taken back is got anew, by one call for all', async () => {
    const simulator = await new Simulator().listen();
    closing.push(() => simulator.close());
    const fcm = PROVIDERS[0];
    if (!fcm) throw new Error('no FCM');
    const channel = await fcm.open(simulator);
    closing.push(() => channel.close());
    const { accept, settled } = outboxOf(channel);
    const some = (from: number) =>
      Array.from({ length: 10 }, (_, i) =>
        workFor(`k${from + i}`, { channel: 'fcm', templateId: 'coupon' }, fcm.address(simulator, from + i)),
      );
    accept(some(0));
    await settled(10);
    simulator.fcm.endTokens();
    accept(some(10));
    expect((await settled(20)).filter(({ status }) => status !== SENT)).toEqual([]);
    expect(simulator.book.accepted).toHaveLength(20);
    expect(simulator.fcm.issued).toBe(2);
  });

  it('web push: an address inside is not called', async () => {
    const simulator = await new Simulator().listen();
    closing.push(() => simulator.close());
    const web = PROVIDERS[2];
    if (!web) throw new Error('no web push');
    const inside = await web.open(simulator, { allows: undefined });
    closing.push(() => inside.close());
    const { accept, settled } = outboxOf(inside);
    accept([workFor('k1', { channel: 'web_push', templateId: 'coupon' }, web.address(simulator, 1))]);
    expect(await settled(1)).toMatchObject([{ status: FAILED, reason: 'web_push not a public address' }]);
    expect(simulator.book.calls).toEqual({});
  });
});

describe('the HTTP/2 client', () => {
  async function serve(answer: Parameters<Http2Server['on']>[1]) {
    const server = createServer();
    server.on('stream', answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = new H2Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 2000);
    closing.push(
      () => server.close(),
      () => client.close(),
    );
    return { server, client };
  }
  const head = { ':method': 'POST', ':path': '/x' };

  it('tells what nobody looked at from what was lost', async () => {
    let n = 0;
    const { client } = await serve((stream) => {
      stream.on('error', () => undefined);
      n++;
      if (n === 1) stream.close(7);
      else if (n === 2) stream.close(2);
      else if (n === 3) return;
      else if (n === 4) stream.session.destroy();
      else {
        stream.respond({ ':status': 200 });
        stream.end('ok');
      }
    });
    await expect(client.call(head, '{}')).rejects.toMatchObject({ reached: false, code: 'stream 7' });
    await expect(client.call(head, '{}')).rejects.toMatchObject({ reached: true, code: 'stream 2' });
    await expect(client.call(head, '{}')).rejects.toMatchObject({ reached: true, code: 'timeout' });
    await expect(client.call(head, '{}')).rejects.toMatchObject({ reached: true });
    expect(await client.call(head, '{}')).toMatchObject({ status: 200, text: 'ok' });
  });

  it('with nobody there, nothing has left; afterwards it connects', async () => {
    const { server, client } = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await expect(client.call(head, '{}')).rejects.toMatchObject({ reached: false });
    const again = createServer((_, response) => response.end('back'));
    await new Promise<void>((resolve) => again.listen(port, '127.0.0.1', resolve));
    closing.push(() => again.close());
    expect(await client.call(head, '{}')).toMatchObject({ status: 200, text: 'back' });
  });
});
