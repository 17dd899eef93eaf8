import { expect, it } from 'vitest';
import { CustomerState, MessageEntry, MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { explain, standings } from './explain.ts';
import { DEFAULT_POLICY } from './settings.ts';

const NOON = Date.parse('2026-05-05T12:00+08:00');
const entry = (more: Partial<MessageEntry>) => MessageEntry.fromPartial({ channel: 'sms', journeyId: 'j', ...more });
const state = CustomerState.fromPartial({
  email: { sealed: Buffer.from('x'), timeMs: 1 },
  consents: [{ channel: 'email', purpose: 'marketing', given: false, timeMs: 1 }],
  messages: [
    entry({ idempotencyKey: 'a', status: MessageStatus.MESSAGE_STATUS_DROPPED, reason: 'frequency_cap' }),
    entry({ idempotencyKey: 'b', journeyId: 'other' }),
    entry({
      idempotencyKey: 'c',
      status: MessageStatus.MESSAGE_STATUS_SENT,
      reason: 'ok',
      deliveredAtMs: 5,
      clickedAtMs: 6,
    }),
    entry({ idempotencyKey: 'd', status: MessageStatus.MESSAGE_STATUS_UNKNOWN, reason: 'connection ECONNRESET' }),
  ],
});

it('says why of each message of a journey, newest first', () => {
  expect(explain(state, 'j').map((e) => `${e.message?.idempotencyKey} ${e.text}`)).toEqual([
    'd Nobody knows whether it was sent; it is not repeated: connection ECONNRESET.',
    'c Sent. It was delivered, clicked.',
    'a Not sent: the customer had as many marketing messages as the caps allow.',
  ]);
  expect(explain(state, '').length).toBe(4);
});

it('says what would be decided now', () => {
  const channels = new Set(['email', 'sms', 'webhook']);
  const at = { now: NOON, policy: DEFAULT_POLICY, shopTimeZone: 'Asia/Shanghai', channels };
  expect(standings(state, at).map((s) => `${s.channel} ${s.purpose} ${s.outcome} ${s.reason}`)).toEqual([
    'email marketing drop no_consent',
    'email transactional send ok',
    'sms marketing drop no_address',
    'sms transactional drop no_address',
    'webhook marketing send ok',
    'webhook transactional send ok',
  ]);
  const night = standings(state, { ...at, now: NOON + 12 * 3_600_000 }).find((s) => s.channel === 'webhook');
  expect(night).toMatchObject({ outcome: 'defer', reason: 'quiet_hours', untilMs: NOON + 21 * 3_600_000 });
});
