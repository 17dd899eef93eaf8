import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DecisionOutcome } from '#gen/recur/log/v1/changes.ts';
import { CapWindow, MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { SIMULATOR_KEYS, Simulator } from '#tools/provider-simulator/simulator.ts';
import { withDefaults } from '../src/core/settings.ts';
import { eventually, Rig } from './rig.ts';

const JOURNEYS = 50;
const CUSTOMERS = 24;
const CAP = 3;
let rig: Rig;
let simulator: Simulator;
let dir: string;

beforeAll(async () => {
  simulator = await new Simulator().listen();
  dir = mkdtempSync(join(tmpdir(), 'recur-caps-'));
  const { accessKeyId: access_key_id, accessKeySecret: access_key_secret } = SIMULATOR_KEYS;
  writeFileSync(join(dir, 'sms'), JSON.stringify({ access_key_id, access_key_secret }), { mode: 0o600 });
  const sms = { SMS_PROVIDER: 'aliyun', SMS_ENDPOINT: simulator.url, SMS_CREDENTIALS_FILE: join(dir, 'sms') };
  rig = await Rig.start({ ...sms, SMS_PER_SECOND: '1000' });
  const content = { providerTemplate: 'SMS_1', parameters: {} };
  const template = Template.fromPartial({ id: 'code', name: 'Code', channel: 'sms', category: 'promo', content });
  await rig.client.createTemplate({ template, requestId: '' });
  const settings = withDefaults(
    MessagingSettings.fromPartial({
      ...{ quietStart: '03:00', quietEnd: '03:00', smsSignature: '小店', capMessages: 100 },
      caps: [{ channel: 'sms', category: 'promo', messages: CAP, window: CapWindow.CAP_WINDOW_ROLLING, hours: 24 }],
    }),
  );
  await rig.client.updateMessagingSettings({ settings, requestId: '' });
}, 300_000);
afterAll(async () => {
  await rig?.stop();
  await simulator?.close();
  rmSync(dir, { recursive: true, force: true });
});

it('50 journeys at the same customers at once, and a provider that throttles and loses answers: no cap is broken', async () => {
  simulator.behave({ seed: 9, throttle: 0.2, lose: 0.1, latencyMs: [0, 30] });
  const customers = Array.from({ length: CUSTOMERS }, (_, i) => ({
    id: `c${i}`,
    phone: `+86139${String(i).padStart(8, '0')}`,
  }));
  await rig.events(customers.map(({ id, phone }) => rig.identify(id, phone)));
  const ask = { channel: 'sms', templateId: 'code', purpose: 'marketing' };
  const asks = (journey: number) =>
    customers.map(({ id }) => {
      const journeyId = `j${journey}`;
      return rig.ask(id, {
        ...ask,
        journeyId,
        enrolmentId: `${journeyId}-${id}`,
        idempotencyKey: `${journeyId}-${id}`,
      });
    });
  await Promise.all(Array.from({ length: JOURNEYS }, (_, journey) => rig.events(asks(journey))));
  const { decisions } = await eventually(
    () => rig.output(),
    (output) => output.decisions.length >= JOURNEYS * CUSTOMERS,
    120_000,
  );
  expect(decisions.length).toBe(JOURNEYS * CUSTOMERS);
  const sends = decisions.filter((d) => d.outcome === DecisionOutcome.DECISION_OUTCOME_SEND);
  expect(sends.length).toBe(CAP * CUSTOMERS);
  expect(decisions.filter((d) => d.reason === 'frequency_cap').length).toBe((JOURNEYS - CAP) * CUSTOMERS);
  await eventually(
    () => rig.pending(),
    (count) => count === 0,
    120_000,
  );
  // What counts is what the provider took.
  const taken = Map.groupBy(simulator.book.accepted, (message) => message.to);
  expect([...taken.values()].map((messages) => messages.length)).toEqual(Array(CUSTOMERS).fill(CAP));
  expect(simulator.book.calls['aliyun lost']).toBeGreaterThan(0);
  expect(simulator.book.calls['aliyun 400']).toBeGreaterThan(0);
}, 240_000);
