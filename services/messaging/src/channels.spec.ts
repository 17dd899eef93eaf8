import { beforeEach, describe, expect, it } from 'vitest';
import { Decision, DecisionOutcome, Delivery, DeliveryStatus, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import { CapWindow, MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { CHANNELS } from '#lib/channels/channels.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import { messagingSpec } from './stage.ts';

const NOON = Date.parse('2026-05-05T12:00+08:00');
const HOUR = 3_600_000;
type Harness = ReturnType<typeof newHarness>;

function newHarness(settings: Partial<MessagingSettings> = {}) {
  const channels = new Set(CHANNELS.keys());
  const harness = new ProcessorHarness(messagingSpec({ shopTimeZone: 'Asia/Shanghai', channels }));
  const define = (kind: string, id: string, body: Uint8Array, at: number) =>
    harness.define({ kind, id, revision: at, deleted: false, body: Buffer.from(body) }, at);
  for (const [i, channel] of [...CHANNELS.keys()].entries()) {
    const template = Template.fromPartial({
      id: `by_${channel}`,
      channel,
      category: 'promo',
      content: { subject: 'x' },
    });
    define('template', template.id, Template.encode(template).finish(), 1000 + i);
  }
  const body = MessagingSettings.encode(MessagingSettings.fromPartial(settings)).finish();
  define('messaging_settings', 'default', body, 2000);
  return harness;
}

function event(h: Harness, more: Partial<Event>, ms: number): string[] {
  const body = Event.encode(Event.fromPartial({ messageId: `m${ms}`, timeMs: ms, ...more })).finish();
  return told(h.input('a', RecordKind.RECORD_KIND_EVENT, body, ms));
}

function identify(h: Harness, ...names: string[]): void {
  const traits = names.map((name) => ({ name, json: Buffer.alloc(0), sealed: Buffer.from(`sealed ${name}`) }));
  const identifiers = names.map((type) => ({ type, hash: Buffer.from(`hash ${type}`) }));
  event(h, { type: EventType.EVENT_TYPE_IDENTIFY, traits, identifiers }, NOON - HOUR);
}

function track(
  h: Harness,
  name: string,
  ms: number,
  properties: unknown,
  type: EventType = EventType.EVENT_TYPE_TRACK,
): string[] {
  return event(h, { type, name, propertiesJson: Buffer.from(JSON.stringify(properties)) }, ms);
}

function ask(
  h: Harness,
  key: string,
  ms: number,
  channel: string,
  fallbacks: string[] = [],
  purpose = 'marketing',
): string[] {
  const body = SendRequest.encode(
    SendRequest.fromPartial({
      ...{ idempotencyKey: key, channel, templateId: `by_${channel}`, purpose, enrolmentId: 'e', nodeId: 'n' },
      fallbacks: fallbacks.map((other) => ({ channel: other, templateId: `by_${other}` })),
    }),
  ).finish();
  return told(h.input('a', RecordKind.RECORD_KIND_SEND, body, ms));
}

function outcome(h: Harness, key: string, status: DeliveryStatus, ms: number): string[] {
  const body = Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status, reason: 'because' })).finish();
  return told(h.input('a', RecordKind.RECORD_KIND_DELIVERY, body, ms));
}

const OUTCOME = { [DecisionOutcome.DECISION_OUTCOME_SEND]: 'send', [DecisionOutcome.DECISION_OUTCOME_DEFER]: 'defer' };
const STATUS = {
  ...{ [DeliveryStatus.DELIVERY_STATUS_INTENT]: 'intent', [DeliveryStatus.DELIVERY_STATUS_SENT]: 'sent' },
  ...{ [DeliveryStatus.DELIVERY_STATUS_FAILED]: 'failed', [DeliveryStatus.DELIVERY_STATUS_UNKNOWN]: 'unknown' },
} as Record<number, string>;

/** Every decision and delivery as "key channel: what". */
function told(outputs: HarnessOutput[]): string[] {
  return outputs.map(({ kind, body }) => {
    if (kind === RecordKind.RECORD_KIND_DECISION) {
      const { idempotencyKey, channel, outcome: o, reason } = Decision.decode(body);
      return `${idempotencyKey} ${channel}: ${(OUTCOME as Record<number, string>)[o] ?? 'drop'} ${reason}`;
    }
    const { idempotencyKey, channel, status, reason } = Delivery.decode(body);
    return `${idempotencyKey} ${channel}: ${STATUS[status]} ${reason}`.trim();
  });
}

const sent = (key: string, channel: string) => [`${key} ${channel}: send ok`, `${key} ${channel}: intent`];
const { DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN, DELIVERY_STATUS_SENT: SENT } = DeliveryStatus;

describe('a channel', () => {
  let h: Harness;
  beforeEach(() => {
    h = newHarness();
  });

  it('has an address of its own, sealed in the work', () => {
    identify(h, 'email', 'phone');
    expect(ask(h, 'k', NOON, 'sms')).toEqual(sent('k', 'sms'));
    expect(SendWork.decode(h.pending.get('k')?.bytes ?? Buffer.alloc(0)).addressSealed.toString()).toBe('sealed phone');
  });

  it('without its address reaches nobody; a webhook needs none', () => {
    identify(h, 'email');
    expect(ask(h, 'k1', NOON, 'sms')).toEqual(['k1 sms: drop no_address']);
    expect(ask(h, 'k2', NOON, 'webhook')).toEqual(sent('k2', 'webhook'));
  });

  it('has consents and suppressions of its own', () => {
    identify(h, 'email', 'phone');
    track(h, 'Consent Withdrawn', NOON - 2, { channel: 'sms' });
    track(h, 'Message Bounced', NOON - 1, { channel: 'webhook' });
    expect(ask(h, 'k1', NOON, 'sms')).toEqual(['k1 sms: drop no_consent']);
    expect(ask(h, 'k2', NOON, 'webhook')).toEqual(['k2 webhook: drop suppressed']);
    expect(ask(h, 'k3', NOON, 'email')).toEqual(sent('k3', 'email'));
  });

  it('bounced: the number is suppressed, another number is not', () => {
    identify(h, 'phone');
    track(h, 'Message Bounced', NOON - 1, { channel: 'sms', bounce_type: 'hard' });
    expect(ask(h, 'k1', NOON, 'sms')).toEqual(['k1 sms: drop suppressed']);
    const phone = { name: 'phone', json: Buffer.alloc(0), sealed: Buffer.from('another') };
    const identifiers = [{ type: 'phone', hash: Buffer.from('another hash') }];
    event(h, { type: EventType.EVENT_TYPE_IDENTIFY, traits: [phone], identifiers }, NOON + 1);
    expect(ask(h, 'k2', NOON + 2, 'sms')).toEqual(sent('k2', 'sms'));
  });

  it('takes no template of another', () => {
    identify(h, 'phone');
    const body = SendRequest.encode(
      SendRequest.fromPartial({ idempotencyKey: 'k', channel: 'sms', templateId: 'by_email', purpose: 'marketing' }),
    ).finish();
    expect(told(h.input('a', RecordKind.RECORD_KIND_SEND, body, NOON))).toEqual(['k sms: drop template_missing']);
  });

  it('may have a cap of its own, by category and calendar', () => {
    const caps = [
      { channel: 'sms', category: 'promo', messages: 1, window: CapWindow.CAP_WINDOW_CALENDAR_DAY, hours: 0 },
    ];
    h = newHarness({ caps, capMessages: 10 });
    identify(h, 'email', 'phone');
    expect(ask(h, 'k1', NOON, 'sms')).toEqual(sent('k1', 'sms'));
    expect(ask(h, 'k2', NOON + HOUR, 'sms')).toEqual(['k2 sms: drop frequency_cap']);
    expect(ask(h, 'k3', NOON + HOUR, 'email')).toEqual(sent('k3', 'email'));
    expect(ask(h, 'k4', NOON + HOUR, 'sms', [], 'transactional')).toEqual(sent('k4', 'sms'));
    expect(ask(h, 'k5', NOON + 24 * HOUR, 'sms')).toEqual(sent('k5', 'sms'));
  });
});

describe.each([...CHANNELS].filter(([, { address }]) => address !== undefined))('%s', (channel, { address = '' }) => {
  const NIGHT = Date.parse('2026-05-05T23:00+08:00');
  const other = channel === 'sms' ? 'email' : 'sms';
  let h: Harness;
  beforeEach(() => {
    h = newHarness({ capMessages: 1 });
    identify(h, address);
  });

  it('is reached by its own address only', () => {
    expect(ask(h, 'k1', NOON, channel)).toEqual(sent('k1', channel));
    const elsewhere = newHarness();
    identify(
      elsewhere,
      ...[...CHANNELS.values()].flatMap((k) => (k.address && k.address !== address ? [k.address] : [])),
    );
    expect(ask(elsewhere, 'k1', NOON, channel)).toEqual([`k1 ${channel}: drop no_address`]);
  });

  it('takes part in consent, suppression, caps and quiet hours', () => {
    expect(ask(h, 'k1', NIGHT, channel)).toEqual([`k1 ${channel}: defer quiet_hours`]);
    expect(ask(h, 'k2', NIGHT, channel, [], 'transactional')).toEqual(sent('k2', channel));
    const day = NOON + 24 * HOUR;
    // In the morning the first one goes out, and that is all the cap allows.
    expect(ask(h, 'k3', day, channel)).toEqual([...sent('k1', channel), `k3 ${channel}: drop frequency_cap`]);
    track(h, 'Consent Withdrawn', day, { channel });
    expect(ask(h, 'k5', day + HOUR, channel)).toEqual([`k5 ${channel}: drop no_consent`]);
    track(h, 'Message Bounced', day + HOUR, { channel });
    expect(ask(h, 'k6', day + 2 * HOUR, channel)).toEqual([`k6 ${channel}: drop suppressed`]);
  });

  it('falls back to another, and is fallen back to', () => {
    identify(h, other === 'sms' ? 'phone' : 'email');
    track(h, 'Consent Withdrawn', NOON - 1, { channel });
    expect(ask(h, 'k', NOON, channel, [other])).toEqual([`k ${channel}: drop no_consent`, ...sent('k/f', other)]);
    const back = newHarness();
    identify(back, address);
    expect(ask(back, 'k', NOON, other, [channel])).toEqual([`k ${other}: drop no_address`, ...sent('k/f', channel)]);
  });

  it('refused by the provider, another one says it', () => {
    identify(h, address, other === 'sms' ? 'phone' : 'email');
    ask(h, 'k', NOON, channel, [other]);
    expect(outcome(h, 'k', FAILED, NOON + 1)).toEqual(['k : failed because', ...sent('k/f', other)]);
  });
});

describe('a fallback', () => {
  let h: Harness;
  beforeEach(() => {
    h = newHarness();
  });

  it('is taken when there is no address, each channel decided with its reason', () => {
    identify(h, 'email');
    expect(ask(h, 'k', NOON, 'sms', ['email'])).toEqual(['k sms: drop no_address', ...sent('k/f', 'email')]);
    expect(ask(h, 'k', NOON, 'sms', ['email'])).toEqual([]);
  });

  it('is not taken for caps and quiet hours: they are about the customer', () => {
    h = newHarness({ capMessages: 1 });
    identify(h, 'email', 'phone');
    ask(h, 'k1', NOON, 'sms');
    expect(ask(h, 'k2', NOON, 'sms', ['email'])).toEqual(['k2 sms: drop frequency_cap']);
    expect(ask(h, 'k3', NOON + 11 * HOUR, 'sms', ['email'])).toEqual(['k3 sms: defer quiet_hours']);
  });

  it('is taken when the provider refuses, once, and never when nobody knows', () => {
    identify(h, 'email', 'phone');
    ask(h, 'k1', NOON, 'sms', ['email'], 'transactional');
    expect(outcome(h, 'k1', FAILED, NOON + 1)).toEqual(['k1 : failed because', ...sent('k1/f', 'email')]);
    expect(outcome(h, 'k1', FAILED, NOON + 2)).toEqual([]);
    expect(outcome(h, 'k1/f', SENT, NOON + 3)).toEqual(['k1/f : sent because']);
    ask(h, 'k2', NOON, 'sms', ['email'], 'transactional');
    expect(outcome(h, 'k2', UNKNOWN, NOON + 1)).toEqual(['k2 : unknown because']);
    expect(h.state('a')?.withFallback).toEqual([]);
  });

  it('may be tried one after the other', () => {
    identify(h, 'phone');
    const way = ['k email: drop no_address', ...sent('k/f', 'sms')];
    expect(ask(h, 'k', NOON, 'email', ['sms', 'webhook'])).toEqual(way);
    expect(outcome(h, 'k/f', FAILED, NOON + 1)).toEqual(['k/f : failed because', ...sent('k/f/f', 'webhook')]);
  });

  it('the failed message does not count against the cap', () => {
    h = newHarness({ capMessages: 1 });
    identify(h, 'email', 'phone');
    ask(h, 'k', NOON, 'sms', ['email']);
    expect(outcome(h, 'k', FAILED, NOON + 1)).toEqual(['k : failed because', ...sent('k/f', 'email')]);
  });
});

describe('an unknown outcome', () => {
  let h: Harness;
  beforeEach(() => {
    h = newHarness({ capMessages: 1 });
    identify(h, 'phone');
    ask(h, 'k', NOON, 'sms');
  });
  const { EVENT_TYPE_DERIVED: DERIVED } = EventType;

  it('is settled by a receipt, also one that came first', () => {
    outcome(h, 'k', UNKNOWN, NOON + 1);
    const receipt = { channel: 'sms', idempotency_key: 'k' };
    expect(track(h, 'Message Delivered', NOON + 2, receipt)).toEqual(['k sms: sent by receipt']);
    expect(track(h, 'Message Delivered', NOON + 3, receipt)).toEqual([]);
    h = newHarness();
    identify(h, 'phone');
    ask(h, 'k', NOON, 'sms');
    expect(track(h, 'Message Delivered', NOON + 1, receipt)).toEqual([]);
    expect(outcome(h, 'k', UNKNOWN, NOON + 2)).toEqual(['k : sent by receipt']);
  });

  it('is settled by hand; not sent: it does not count against the cap', () => {
    outcome(h, 'k', UNKNOWN, NOON + 1);
    expect(ask(h, 'k2', NOON + 2, 'sms')).toEqual(['k2 sms: drop frequency_cap']);
    expect(track(h, 'Message Settled', NOON + 3, { idempotency_key: 'k', sent: false }, DERIVED)).toEqual([
      'k sms: failed by hand',
    ]);
    expect(ask(h, 'k3', NOON + 4, 'sms')).toEqual(sent('k3', 'sms'));
    expect(track(h, 'Message Settled', NOON + 5, { idempotency_key: 'k', sent: true }, DERIVED)).toEqual([]);
  });

  it('is not settled by what somebody sends under that name', () => {
    outcome(h, 'k', UNKNOWN, NOON + 1);
    expect(track(h, 'Message Settled', NOON + 2, { idempotency_key: 'k', sent: true })).toEqual([]);
  });
});
