import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { FAIL_POINTS } from '#lib/stream/fail-points.ts';
import { batchesOf } from '#tools/bench/batches.ts';
import { startJourney } from '#tools/bench/definitions.ts';
import { httpSender, sendAll } from '#tools/bench/send.ts';
import { sql } from '#tools/library/sql.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { mailsIn } from './mails.ts';
import { ShopCluster } from './shop-cluster.ts';

/**
 * A journey with every kind of node, and each process that carries it killed at each of its fail points with work at hand. What
 * the providers took is read from their own records.
 */
const POINTS: readonly (readonly [process: string, point: string])[] = [
  ...FAIL_POINTS.map((point) => ['journey', `journey.${point}`] as const),
  ...['before_publish', 'after_publish'].map((point) => ['journey', `journey-relay.${point}`] as const),
  ...FAIL_POINTS.map((point) => ['messaging', `messaging.${point}`] as const),
  ...FAIL_POINTS.map((point) => ['messaging', `messaging-outbox.${point}`] as const),
];
const PEOPLE = 8;

const JOURNEY = `
id: every_node
definition:
  trigger: { event: { name: Begin, expression: has(event.n) } }
  start: traits
  nodes:
    - { id: traits, update_traits: { traits: { touched: true }, expressions: { number: trigger.n }, next: points } }
    - { id: points, emit_event: { name: Points Awarded, expressions: { points: trigger.n * 10 }, next: arm } }
    - id: arm
      split:
        variants: [{ id: all, weight: 9, next: mail }, { id: none, weight: 1, next: held_out, hold_out: true }]
    - { id: mail, message: { channel: email, template_id: mail, purpose: transactional, next: pause } }
    - { id: pause, wait: { duration: PT1S, next: text } }
    - { id: text, message: { channel: sms, template_id: text, purpose: transactional, next: hook } }
    - { id: hook, webhook: { template_id: hook, next: number } }
    - id: number
      branch: { ways: [{ id: known, conditions: [{ expression: trigger.n >= 0 }], next: answer }], otherwise: done }
    - { id: answer, wait_for_event: { event: { name: Answered }, timeout: PT1S, happened: done, timed_out: done } }
    - { id: done, exit: {} }
    - { id: held_out, exit: { reason: hold_out } }
`;
const TEMPLATES = [
  { id: 'mail', name: 'Mail', channel: 'email', content: { subject: 'Hello', text: 'Hello' } },
  { id: 'text', name: 'Text', channel: 'sms', content: { providerTemplate: 'SMS_1', parameters: { code: '7' } } },
  {
    ...{ id: 'hook', name: 'Hook', channel: 'webhook' },
    content: { subject: 'ticket.asked', text: '{"a": 1}', url: 'https://hooks.shop.example/webhook/tickets' },
  },
];

let shop: ShopCluster;
let simulator: Simulator;

beforeAll(async () => {
  simulator = await new Simulator().listen();
  const dir = mkdtempSync(join(tmpdir(), 'recur-provider-'));
  deleteWithUs(dir);
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const key = { access_key_id: SIMULATOR_KEYS.accessKeyId, access_key_secret: SIMULATOR_KEYS.accessKeySecret };
  const messaging = {
    ...{ SMS_PROVIDER: 'aliyun', SMS_ENDPOINT: simulator.url, PUBLIC_HOST_URL: simulator.url },
    SMS_CREDENTIALS_FILE: file('sms.json', JSON.stringify(key)),
    WEBHOOK_SECRETS_FILE: file('webhook', SIMULATOR_KEYS.webhookSecret),
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'public-host.mjs')}`,
  };
  shop = await ShopCluster.start({ clock: 'live', timeZone: 'Asia/Shanghai', serviceEnv: { messaging } });
  const { api } = shop;
  for (const template of TEMPLATES)
    await api.messaging.createTemplate({ template: Template.fromPartial(template), requestId: '' });
  const { settings } = await api.messaging.getMessagingSettings({});
  await api.messaging.updateMessagingSettings({ settings: { ...settings!, smsSignature: '小店' }, requestId: '' });
  await startJourney(api, JOURNEY);
  await shop.quiescence.defined({ journey: 1, messaging: TEMPLATES.length });
});
afterAll(async () => {
  await shop?.stop();
  await simulator?.close();
});

function* begins(round: number): Generator<ShopEvent> {
  for (let i = 0; i < PEOPLE; i++) {
    const n = round * PEOPLE + i;
    const who = { channel: 'web' as const, userId: `member-${n}`, timestamp: new Date().toISOString() };
    const traits = { email: `member-${n}@example.com`, phone: `+86138${String(n).padStart(8, '0')}` };
    yield { ...who, type: 'identify', messageId: `who-${n}`, traits };
    yield { ...who, type: 'track', event: 'Begin', messageId: `begin-${n}`, properties: { n } };
  }
}

async function happens(round: number): Promise<void> {
  const { ingestHttp, writeKeys } = shop.endpoints;
  const sender = httpSender(ingestHttp, writeKeys as Record<string, string>, 1);
  await sendAll([...batchesOf(begins(round), { from: 20, to: 40 })], 1, sender.send);
  await sender.close();
}

/** Dead with the work before it, started so that it dies at the point, and once it did, started to stay. */
async function dieAt(name: string, point: string, round: number): Promise<void> {
  const child = shop.cluster.process(name);
  await child.kill9();
  await happens(round);
  child.spec.env = { ...child.spec.env, FAIL_POINT: `${point}:${1 + (round % 3)}` };
  // It may die before it is ready.
  await child.start().catch(() => undefined);
  await expect.poll(() => child.running, { timeout: 60_000, message: `${point} was not reached` }).toBe(false);
  child.spec.env = { ...child.spec.env, FAIL_POINT: '' };
  await child.start();
}

interface Asked extends Record<string, unknown> {
  enrolment_id: string;
  node_id: string;
  idempotency_key: string;
  channel: string;
  status: string;
}

test('each (enrolment, node) is taken by its provider at most once and none is lost; what nobody knows is listed, not repeated', async () => {
  simulator.behave({ seed: 5, lose: 0.1, throttle: 0.1 });
  let round = 0;
  for (const [name, point] of POINTS) await dieAt(name, point, round++);
  // Of an SMS nobody knows about the provider is asked for ten minutes.
  await shop.quiescence.reached('all that was begun', 720_000);
  const rows = <T extends Record<string, unknown>>(query: string) => sql<T>(shop.endpoints.clickhouseHttp, query);

  // Every customer went all the way, once.
  const [ways] = await rows<Record<string, number>>(
    `SELECT countIf(action = 'enrolled') AS enrolled, uniqExact(customer_id) AS customers, countIf(action = 'exited') AS exited,
       countIf(node_id = 'mail' AND action = 'reached') AS mail, countIf(node_id = 'held_out' AND action = 'reached') AS heldOut
     FROM journey_steps WHERE journey_id = 'every_node'`,
  );
  const people = POINTS.length * PEOPLE;
  expect(ways).toMatchObject({ enrolled: people, customers: people, exited: people });
  const treated = people - (ways?.heldOut ?? 0);
  expect([ways?.mail, treated > people / 2]).toEqual([treated, true]);
  const [said] = await rows<{ said: number; about: number }>(
    "SELECT count() AS said, uniqExact(customer_id) AS about FROM events WHERE name = 'Points Awarded'",
  );
  expect(said).toEqual({ said: people, about: people });

  // Each was asked for once, and has one fate.
  const asked = await rows<Asked>(
    `SELECT d.enrolment_id AS enrolment_id, d.node_id AS node_id, d.idempotency_key AS idempotency_key, d.channel AS channel, m.status AS status
     FROM decisions AS d LEFT JOIN v_messages AS m USING (idempotency_key) WHERE d.outcome = 'send'`,
  );
  expect(asked).toHaveLength(3 * treated);
  expect(new Set(asked.map((one) => `${one.enrolment_id}/${one.node_id}`)).size).toBe(3 * treated);
  const by = (channel: string) => asked.filter((one) => one.channel === channel);
  const fates = Object.fromEntries(
    ['email', 'sms', 'webhook'].map((channel) => [channel, Map.groupBy(by(channel), ({ status }) => status)]),
  );
  const count = (channel: string, status: string) => fates[channel]?.get(status)?.length ?? 0;
  const table = ['email', 'sms', 'webhook'].map((c) => `${c} ${count(c, 'sent')} sent ${count(c, 'unknown')} unknown`);
  console.log(
    `${POINTS.length} fail points, ${people} customers: ${table.join(', ')}; calls ${JSON.stringify(simulator.book.calls)}`,
  );

  // Mail: the mailbox can be asked, so nothing stays unknown.
  const mails = (await mailsIn(shop.endpoints.mailboxHttp)).map((mail) => mail.split(' ')[0] ?? '');
  expect([mails.length, new Set(mails).size, count('email', 'sent')]).toEqual([treated, treated, treated]);

  // SMS: the provider shows what it took, and nothing of what was never called: that stays unknown.
  const taken = simulator.book.accepted;
  const numbers = taken.filter(({ provider }) => provider === 'aliyun').map(({ to }) => to);
  expect([new Set(numbers).size, count('sms', 'sent')]).toEqual([numbers.length, numbers.length]);
  expect(count('sms', 'sent') + count('sms', 'unknown')).toBe(treated);

  // Webhooks: nobody can be asked. Called once each at most; what was not answered is unknown, what is sent was taken.
  const hooks = new Set(taken.filter(({ provider }) => provider === 'webhook').map(({ reference }) => reference));
  const { calls } = simulator.book;
  expect((calls['webhook 200'] ?? 0) + (calls['webhook lost'] ?? 0)).toBe(hooks.size);
  const sent = (fates.webhook?.get('sent') ?? []).map((one) => one.idempotency_key);
  const unknown = (fates.webhook?.get('unknown') ?? []).map((one) => one.idempotency_key);
  expect(sent.length + unknown.length).toBe(treated);
  expect(unknown.length).toBeGreaterThan(0);
  expect(sent.filter((key) => !hooks.has(key))).toEqual([]);
  const either = new Set([...sent, ...unknown]);
  expect([...hooks].filter((key) => !either.has(key))).toEqual([]);
}, 1_200_000);
