import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import PostalMime from 'postal-mime';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DecisionOutcome, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import { pushEncrypted, signed } from '#tools/provider-simulator/wechat-push.ts';
import { withDefaults } from '../src/core/settings.ts';
import { eventually, Rig } from './rig.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const receiptSecret = `whsec_${Buffer.alloc(32, 'r').toString('base64')}`;
const PUBLIC_URL = 'https://m.shop.example';
let rig: Rig;
let simulator: Simulator;
let dir: string;

beforeAll(async () => {
  simulator = await new Simulator().listen();
  dir = mkdtempSync(join(tmpdir(), 'recur-receipts-'));
  const file = (name: string, content: string) => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const { accessKeyId: access_key_id, accessKeySecret: access_key_secret } = SIMULATOR_KEYS;
  const { accessKeySecret: corp_secret } = SIMULATOR_KEYS;
  const { accessKeySecret: app_secret, wechatToken: token, wechatAesKey: encoding_aes_key } = SIMULATOR_KEYS;
  const app = (app_id: string, more = {}) => JSON.stringify({ app_id, app_secret, token, ...more });
  rig = await Rig.start({
    ...{ SMS_PROVIDER: 'aliyun', SMS_ENDPOINT: simulator.url, PUBLIC_URL },
    SMS_CREDENTIALS_FILE: file('sms', JSON.stringify({ access_key_id, access_key_secret })),
    RECEIPT_SECRETS_FILE: file('receipts', receiptSecret),
    WECHAT_ACCOUNT_FILE: file('account', app(SIMULATOR_KEYS.wechatAccount, { encoding_aes_key })),
    WECHAT_MINI_FILE: file('mini', app(SIMULATOR_KEYS.wechatMini)),
    WECOM_CREDENTIALS_FILE: file('wecom', JSON.stringify({ corp_id: SIMULATOR_KEYS.wecomCorp, corp_secret })),
    ...{ WECHAT_ENDPOINT: simulator.url, WECOM_ENDPOINT: simulator.url },
  });
  const templates = [
    {
      id: 'news',
      name: 'News',
      channel: 'email',
      content: { subject: 'News', html: '<a href="https://shop.example/p">p</a>' },
    },
    ...['wechat_template', 'wechat_subscribe', 'wechat_mini'].map((channel) => ({
      ...{ id: channel, name: channel, channel },
      content: { providerTemplate: 'template-1', parameters: { thing1: '{{ customer.first_name }}' } },
    })),
    { id: 'wecom', name: 'WeCom', channel: 'wecom', content: { text: '您好 {{ customer.first_name }}' } },
    { id: 'code', name: 'Code', channel: 'sms', content: { providerTemplate: 'SMS_1', parameters: { code: '7' } } },
  ];
  for (const template of templates)
    await rig.client.createTemplate({ template: Template.fromPartial(template), requestId: '' });
  // No quiet hours: the test may run at night.
  const settings = withDefaults(
    MessagingSettings.fromPartial({ quietStart: '03:00', quietEnd: '03:00', smsSignature: '小店', capMessages: 100 }),
  );
  await rig.client.updateMessagingSettings({ settings, requestId: '' });
}, 300_000);
afterAll(async () => {
  await rig?.stop();
  await simulator?.close();
  rmSync(dir, { recursive: true, force: true });
});

const here = (url: string) => url.replace(PUBLIC_URL, rig.service.httpUrl);
/** What identity would do with an event that came back: it is the customer's. */
async function pass(count: number) {
  const events = await eventually(
    () => rig.ingested(),
    (list) => list.length >= count,
  );
  await rig.events(events.slice(-1).map((event) => [event.customer, event.event] as const));
  return events;
}
const statusOf = async (customerId: string, key: string) =>
  (await rig.client.listMessages({ customerId, pageSize: 50, pageToken: '' })).messages.find(
    (m) => m.idempotencyKey === key,
  );

it('mail: opened, clicked, unsubscribed by one click – and the next one is not sent', async () => {
  const marketing = { purpose: 'marketing', templateId: 'news' };
  await rig.events([rig.identify('ann'), rig.ask('ann', { ...marketing, idempotencyKey: 'n1' })]);
  await eventually(
    () => rig.output(),
    (o) => o.deliveries.some((d) => d.status === SENT && d.idempotencyKey === 'n1'),
  );
  const mail = await new PostalMime().parse(await rig.rawMail());
  const header = (name: string) => mail.headers.find((h) => h.key === name)?.value ?? '';
  const html = mail.html ?? '';

  const pixel = /<img src="([^"]+)"/.exec(html)?.[1] ?? '';
  const head = await fetch(here(pixel), { method: 'HEAD' });
  expect(head.status).toBe(404);
  const opened = await fetch(here(pixel));
  expect([opened.status, opened.headers.get('content-type')]).toEqual([200, 'image/gif']);
  await opened.arrayBuffer();
  expect((await pass(1)).at(-1)?.event).toMatchObject({ name: 'Email Opened', source: 'messaging' });

  const link = /<a href="([^"]+)"/.exec(html)?.[1] ?? '';
  const clicked = await fetch(here(link), { redirect: 'manual' });
  expect([clicked.status, clicked.headers.get('location')]).toEqual([302, 'https://shop.example/p']);
  expect((await pass(2)).at(-1)?.event).toMatchObject({ name: 'Email Link Clicked' });
  const seen = await eventually(
    () => statusOf('ann', 'n1'),
    (m) => (m?.clickedAtMs ?? 0) > 0,
  );
  expect(seen?.openedAtMs).toBeGreaterThan(0);

  expect(header('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click');
  const unsubscribe = /<(https:[^>]+)>/.exec(header('list-unsubscribe'))?.[1] ?? '';
  const looked = await fetch(here(unsubscribe));
  expect(await looked.text()).toContain('<form method="post">');
  expect((await rig.ingested()).length).toBe(2);
  const body = new URLSearchParams({ 'List-Unsubscribe': 'One-Click' });
  expect((await fetch(here(unsubscribe), { method: 'POST', body })).status).toBe(200);
  expect((await pass(3)).at(-1)).toMatchObject({ customer: 'ann', event: { name: 'Unsubscribed' } });
  await rig.events([rig.ask('ann', { ...marketing, idempotencyKey: 'n2' })]);
  const { decisions } = await eventually(
    () => rig.output(),
    (o) => o.decisions.some((d) => d.idempotencyKey === 'n2'),
  );
  expect(decisions.find((d) => d.idempotencyKey === 'n2')).toMatchObject({
    ...{ outcome: DecisionOutcome.DECISION_OUTCOME_DROP, reason: 'no_consent' },
  });
  // States are some milliseconds behind the log.
  const { standings, messages } = await eventually(
    () => rig.client.explainMessages({ customerId: 'ann', journeyId: '' }),
    (explained) => explained.messages.length > 1,
  );
  expect(messages[0]?.text).toMatch(/^Not sent: the customer did not agree/);
  expect(standings.find((s) => s.channel === 'email' && s.purpose === 'marketing')).toMatchObject({
    reason: 'no_consent',
  });
}, 240_000);

it('links that were not made here lead nowhere', async () => {
  const before = (await rig.ingested()).length;
  for (const path of ['/m/o/AAAA', '/m/c/AAAA', '/m/u/AAAA', `/m/c/${'A'.repeat(5000)}`]) {
    const answer = await fetch(rig.service.httpUrl + path, { redirect: 'manual' });
    await answer.arrayBuffer();
    expect([path.slice(0, 8), answer.status]).toEqual([
      path.slice(0, 8),
      path.startsWith('/m/o/') ? 200 : path.length > 4000 ? 414 : 404,
    ]);
  }
  expect((await fetch(`${rig.service.httpUrl}/m/u/AAAA`, { method: 'POST' })).status).toBe(404);
  expect((await rig.ingested()).length).toBe(before);
});

it('SMS: receipts of the provider, late and twice, become one event each; a bounce suppresses', async () => {
  simulator.behave({
    seed: 5,
    receiptUrl: `${rig.service.httpUrl}/m/receipts/aliyun`,
    receiptMs: [50, 300],
    duplicateReceipt: 1,
    bounce: 1,
  });
  const before = (await rig.ingested()).length;
  const code = { channel: 'sms', templateId: 'code' };
  await rig.events([rig.identify('bob', '+8613900000009'), rig.ask('bob', { ...code, idempotencyKey: 's1' })]);
  await eventually(
    () => simulator.book,
    (book) => book.receipts >= 2,
  );
  const events = await pass(before + 2);
  const mine = events.slice(before);
  expect(mine.map((e) => e.event.name)).toEqual(['Message Bounced', 'Message Bounced']);
  // Told twice, one message id: identity counts it once.
  expect(new Set(mine.map((e) => e.event.messageId)).size).toBe(1);
  await rig.events([rig.ask('bob', { ...code, idempotencyKey: 's2' })]);
  const { decisions } = await eventually(
    () => rig.output(),
    (o) => o.decisions.some((d) => d.idempotencyKey === 's2'),
  );
  expect(decisions.find((d) => d.idempotencyKey === 's2')?.reason).toBe('suppressed');
}, 240_000);

it('WeChat and WeCom: from request to provider; refused, another channel says it; each explained', async () => {
  simulator.behave({});
  const openid = 'oSimulated_OpenId-0000000001';
  const addresses = {
    openid_account: openid,
    openid_mini: 'none-of-this-app',
    wecom_external_userid: 'wmSimulated-01',
  };
  const channels = ['wechat_template', 'wechat_subscribe', 'wecom'];
  await rig.events([
    rig.identify('dan', undefined, addresses),
    ...channels.map((channel) => rig.ask('dan', { channel, templateId: channel, idempotencyKey: channel })),
    rig.ask('dan', {
      ...{ channel: 'wechat_mini', templateId: 'wechat_mini', idempotencyKey: 'mini' },
      fallbacks: [{ channel: 'wecom', templateId: 'wecom' }],
    }),
  ]);
  const keys = [...channels, 'mini/f'];
  await eventually(
    () => rig.output(),
    ({ deliveries }) => keys.every((key) => deliveries.some((d) => d.idempotencyKey === key && d.status === SENT)),
  );
  const taken = simulator.book.accepted.filter((m) => m.to === openid || m.to === 'wmSimulated-01');
  expect(taken.map((m) => m.provider).sort()).toEqual(['wechat', 'wechat', 'wecom', 'wecom']);
  const { standings, messages } = await rig.client.explainMessages({ customerId: 'dan', journeyId: '' });
  expect(messages.find((m) => m.message?.idempotencyKey === 'mini')?.text).toBe(
    'Not sent: refused, or could not be written: wechat 40003: no such OpenID in this app.',
  );
  expect(messages.find((m) => m.message?.idempotencyKey === 'mini/f')?.text).toBe('Sent.');
  for (const channel of [...channels, 'wechat_mini'])
    expect(standings.find((s) => s.channel === channel && s.purpose === 'marketing')?.reason).toBe('ok');
}, 240_000);

/** The events receipts became since there were `before`, once there are `count`; given to the customer, as identity would. */
async function told(before: number, count: number) {
  const events = await eventually(
    () => rig.ingested(),
    (list) => list.length >= before + count,
  );
  const mine = events.slice(before);
  await rig.events(mine.map(({ customer, event }) => [customer, event] as const));
  return mine;
}

it.each([
  ['wechat_template', 'account', 'openid_account'],
  ['wechat_subscribe', 'account', 'openid_account'],
  ['wechat_mini', 'mini', 'openid_mini'],
])(
  '%s: what WeChat pushes becomes one event each, and settles what nobody had an answer for',
  async (channel, app, trait) => {
    // A thing of a template has twenty characters at most, and this is in their name.
    const customer = `eve-${app}-${channel.slice(7, 10)}`;
    const address = `oSimulated_${channel}-01`.padEnd(28, '0');
    const receiptUrl = `${rig.service.httpUrl}/m/receipts/wechat/${app}`;
    const ask = (key: string) =>
      rig.ask(customer, { channel, templateId: channel, idempotencyKey: `${channel}-${key}` });
    simulator.behave({ seed: 5, receiptUrl, receiptMs: [0, 50], duplicateReceipt: 1 });
    let before = (await rig.ingested()).length;
    await rig.events([rig.identify(customer, undefined, { [trait]: address }), ask('delivered')]);
    const events = await told(before, 2);
    expect(events).toMatchObject(
      Array(2).fill({ customer, event: { name: 'Message Delivered', source: 'messaging' } }),
    );
    expect(new Set(events.map(({ event }) => event.messageId)).size).toBe(1);
    const delivered = await eventually(
      () => statusOf(customer, `${channel}-delivered`),
      (m) => (m?.deliveredAtMs ?? 0) > 0,
    );
    // All nineteen digits of it.
    expect(delivered?.providerId).toBe(simulator.book.accepted.find((m) => m.to === address)?.providerId);

    simulator.behave({ seed: 5, receiptUrl, bounce: 1 });
    before = (await rig.ingested()).length;
    await rig.events([ask('blocked')]);
    const [blocked] = await told(before, 1);
    const { bounce_type, reason } = JSON.parse(blocked?.event.propertiesJson.toString() ?? '{}');
    expect(blocked?.event.name).toBe('Message Bounced');
    expect([bounce_type, reason]).toEqual([
      'soft',
      channel === 'wechat_template' ? 'wechat failed:user block' : 'wechat 43101',
    ]);

    // Taken, and the answer lost.
    simulator.behave({ seed: 5, receiptUrl, lose: 1, receiptMs: [500, 600] });
    before = (await rig.ingested()).length;
    await rig.events([ask('lost')]);
    await told(before, 1);
    simulator.behave({});
    const settled = await eventually(
      () => statusOf(customer, `${channel}-lost`),
      (m) => (m?.deliveredAtMs ?? 0) > 0 && m?.status === MessageStatus.MESSAGE_STATUS_SENT,
    );
    // A template message is called again under its id until there is an answer; the others were unknown.
    if (channel !== 'wechat_template') expect(settled?.reason).toBe('by receipt');
  },
  240_000,
);

it('pushes that are not WeChat’s, or no results, do nothing', async () => {
  simulator.behave({});
  const before = (await rig.ingested()).length;
  const { wechatToken, wechatAesKey: aesKey, wechatAccount: appId } = SIMULATOR_KEYS;
  const call = async (app: string, query: Record<string, string>, body?: string) => {
    const url = `${rig.service.httpUrl}/m/receipts/wechat/${app}?${new URLSearchParams(query)}`;
    const answer = await fetch(url, body === undefined ? {} : { method: 'POST', body });
    return [answer.status, await answer.text()];
  };
  const signature = () => signed(wechatToken, 'signature');
  expect(await call('mini', { ...signature(), echostr: '4711' })).toEqual([200, '4711']);
  expect(await call('account', { ...signed('otherToken', 'signature'), echostr: '4711' })).toEqual([
    401,
    'signature is missing or wrong',
  ]);
  const hello = { FromUserName: 'oSimulated_OpenId-0000000001', MsgType: 'text', Content: '你好' };
  const push = pushEncrypted({ appId, token: wechatToken, aesKey }, { ToUserName: 'gh', ...hello });
  expect(await call('account', push.query, push.body)).toEqual([200, 'success']);
  const result = { CreateTime: '1717466001', Event: 'TEMPLATESENDJOBFINISH', MsgID: '1', Status: 'success' };
  const foreign = pushEncrypted({ appId, token: wechatToken, aesKey }, { ...hello, ...result, ToUserName: 'gh' });
  expect(await call('account', foreign.query, foreign.body)).toEqual([200, 'success']);
  expect((await call('account', {}, foreign.body))[0]).toBe(401);
  expect(
    (await call('account', { ...foreign.query, msg_signature: push.query.msg_signature ?? '' }, foreign.body))[0],
  ).toBe(401);
  expect(await call('mini', signature(), '<xml>')).toEqual([400, expect.stringMatching(/^the body must be XML/)]);
  expect((await call('mini', signature(), 'x'.repeat(70_000)))[0]).toBe(413);
  expect((await rig.ingested()).length).toBe(before);
}, 60_000);

it('an answer lost for good is unknown, listed, and settled by hand', async () => {
  simulator.behave({ cut: 1 });
  const code = { channel: 'sms', templateId: 'code', idempotencyKey: 'u1' };
  await rig.events([rig.identify('cid', '+8613900000010'), rig.ask('cid', code)]);
  await eventually(
    () => simulator.book.calls['aliyun cut'] ?? 0,
    (n) => n > 0,
  );
  await expect(rig.client.settleMessage({ customerId: 'cid', idempotencyKey: 'u1', sent: true })).rejects.toMatchObject(
    {
      code: status.FAILED_PRECONDITION,
    },
  );
  // The rest of the ten minutes in which the provider is asked is not waited for: see sms.int.spec.ts.
  await rig.outcome('cid', { ...code, status: UNKNOWN });
  await eventually(
    () => statusOf('cid', 'u1'),
    (m) => m?.status === MessageStatus.MESSAGE_STATUS_UNKNOWN,
  );
  const before = (await rig.ingested()).length;
  await rig.client.settleMessage({ customerId: 'cid', idempotencyKey: 'u1', sent: true });
  await pass(before + 1);
  const settled = await eventually(
    () => statusOf('cid', 'u1'),
    (m) => m?.status === MessageStatus.MESSAGE_STATUS_SENT,
  );
  expect(settled).toMatchObject({ status: MessageStatus.MESSAGE_STATUS_SENT, reason: 'by hand' });
  await expect(
    rig.client.settleMessage({ customerId: 'cid', idempotencyKey: 'nope', sent: true }),
  ).rejects.toMatchObject({
    code: status.NOT_FOUND,
  });
}, 240_000);

it('receipts in Recur’s own form: signed, or refused', async () => {
  const url = `${rig.service.httpUrl}/m/receipts`;
  const mail = await new PostalMime().parse(await rig.rawMail());
  const reference = mail.headers.find((h) => h.key === 'x-recur-reference')?.value.replaceAll(/\s/g, '') ?? '';
  const body = JSON.stringify({ receipts: [{ reference, type: 'complained' }] });
  const signed = (text: string, at = new Date()) => ({
    ...{
      'content-type': 'application/json',
      'webhook-id': 'r1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    },
    'webhook-signature': new Webhook(receiptSecret).sign('r1', at, text),
  });
  const post = async (headers: Record<string, string>, text: string) =>
    (await fetch(url, { method: 'POST', headers, body: text })).status;
  const before = (await rig.ingested()).length;
  expect(await post({}, body)).toBe(401);
  expect(await post(signed(body), body.replace('complained', 'delivered'))).toBe(401);
  expect(await post(signed(body, new Date(Date.now() - 3_600_000)), body)).toBe(401);
  expect(await post(signed('{'), '{')).toBe(400);
  expect(await post(signed('[]'), '[]')).toBe(400);
  expect((await rig.ingested()).length).toBe(before);
  expect(await post(signed(body), body)).toBe(200);
  expect((await rig.ingested()).at(-1)).toMatchObject({ customer: 'ann', event: { name: 'Email Marked as Spam' } });
});
