import { describe, expect, it } from 'vitest';
import { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { type Circumstances, decide, type Verdict } from './decide.ts';
import { DEFAULT_POLICY } from './settings.ts';

const DAY = 86_400_000;
const NOON = Date.parse('2026-05-05T12:00+08:00');
const NIGHT = Date.parse('2026-05-05T23:00+08:00');
const MORNING = Date.parse('2026-05-06T09:00+08:00');

const hash = (text: string) => Buffer.from(text.padEnd(16));
const reachable: Partial<CustomerState> = { email: { sealed: Buffer.from('sealed'), hash: hash('a'), timeMs: 1 } };
const withdrawn = { channel: 'email', purpose: 'marketing', given: false, timeMs: 5 };
const bounce = { channel: 'email', reason: 'hard_bounce', addressHash: hash('a'), timeMs: 5 };
const complaint = { channel: 'email', reason: 'complaint', addressHash: Buffer.alloc(0), timeMs: 5 };
const at = (timeMs: number, keyHash: number) => ({ keyHash, timeMs, channel: 'email', category: '' });
const sent = (daysAgo: number, n: number) => at(NOON - daysAgo * DAY, n);
const capped = [sent(1, 1), sent(2, 2)];

const send: Verdict = { outcome: 'send' };
const deferred: Verdict = { outcome: 'defer', reason: 'quiet_hours', untilMs: MORNING };
const dropped = (reason: Extract<Verdict, { outcome: 'drop' }>['reason']): Verdict => ({ outcome: 'drop', reason });

interface Case {
  readonly name: string;
  readonly state?: Partial<CustomerState>;
  readonly request?: Partial<SendRequest>;
  readonly at?: Partial<Circumstances>;
  readonly verdict: Verdict;
}

const transactional = { purpose: 'transactional' };
const optIn = { policy: { ...DEFAULT_POLICY, optIn: true } };

const CASES: Case[] = [
  { name: 'nothing against it', verdict: send },
  { name: 'another channel', request: { channel: 'fax' }, verdict: dropped('channel_unsupported') },
  { name: 'no such template', at: { template: undefined }, verdict: dropped('template_missing') },
  {
    name: 'variables beyond 32 KB',
    request: { variablesJson: Buffer.alloc(40_000) },
    verdict: dropped('variables_too_large'),
  },
  // Each row breaks everything that comes after it too: the first reason in order is the one given.
  {
    name: 'suppressed first',
    state: { email: undefined, suppressions: [complaint], consents: [withdrawn] },
    at: { now: NIGHT },
    verdict: dropped('suppressed'),
  },
  {
    name: 'then the address',
    state: { email: undefined, consents: [withdrawn], marketingSends: capped },
    at: { now: NIGHT },
    verdict: dropped('no_address'),
  },
  {
    name: 'then consent',
    state: { consents: [withdrawn], marketingSends: capped },
    at: { now: NIGHT },
    verdict: dropped('no_consent'),
  },
  { name: 'then quiet hours', state: { marketingSends: capped }, at: { now: NIGHT }, verdict: deferred },
  { name: 'then the cap', state: { marketingSends: capped }, verdict: dropped('frequency_cap') },

  { name: 'a bounce of this address', state: { suppressions: [bounce] }, verdict: dropped('suppressed') },
  {
    name: 'a bounce of an earlier address',
    state: { suppressions: [{ ...bounce, addressHash: hash('b') }] },
    verdict: send,
  },
  {
    name: 'a bounce of nobody knows which',
    state: { suppressions: [{ ...bounce, addressHash: Buffer.alloc(0) }] },
    verdict: dropped('suppressed'),
  },
  {
    name: 'an address taken back',
    state: { email: { sealed: Buffer.alloc(0), hash: Buffer.alloc(0), timeMs: 9 } },
    verdict: dropped('no_address'),
  },
  {
    name: 'consent withdrawn, then given',
    state: { consents: [{ ...withdrawn, given: true, timeMs: 6 }] },
    verdict: send,
  },
  {
    name: 'withdrawn for all channels after given for this',
    state: {
      consents: [
        { ...withdrawn, given: true },
        { ...withdrawn, channel: '*', timeMs: 6 },
      ],
    },
    verdict: dropped('no_consent'),
  },
  { name: 'withdrawn for another channel', state: { consents: [{ ...withdrawn, channel: 'sms' }] }, verdict: send },
  { name: 'opt-in, nobody asked', at: optIn, verdict: dropped('no_consent') },
  { name: 'opt-in, given', state: { consents: [{ ...withdrawn, given: true }] }, at: optIn, verdict: send },
  {
    name: 'the customer’s own zone is what counts',
    state: { timeZone: { value: 'America/New_York', timeMs: 1 } },
    at: { now: NIGHT },
    verdict: send,
  },
  { name: 'one message this week', state: { marketingSends: [sent(1, 1)] }, verdict: send },
  {
    name: 'the older one is a millisecond less than a week ago',
    state: { marketingSends: [at(NOON - 7 * DAY + 1, 1), sent(1, 2)] },
    verdict: dropped('frequency_cap'),
  },
  {
    name: 'the older one is a week ago to the millisecond',
    state: { marketingSends: [sent(7, 1), sent(1, 2)] },
    verdict: send,
  },
  {
    name: 'a purpose nobody knows counts as marketing',
    request: { purpose: 'growth' },
    state: { consents: [withdrawn] },
    verdict: dropped('no_consent'),
  },

  {
    name: 'transactional: no quiet hours, no cap, no opt-in',
    state: { marketingSends: capped, consents: [withdrawn] },
    request: transactional,
    at: { now: NIGHT, ...optIn },
    verdict: send,
  },
  {
    name: 'transactional: suppressed all the same',
    state: { suppressions: [complaint] },
    request: transactional,
    verdict: dropped('suppressed'),
  },
  {
    name: 'transactional: withdrawn for every purpose',
    state: { consents: [{ ...withdrawn, purpose: '*' }] },
    request: transactional,
    verdict: dropped('no_consent'),
  },
];

describe('decide', () => {
  it.each(CASES)('$name → $verdict.outcome $verdict.reason', ({ state, request, at, verdict }) => {
    const customer = CustomerState.fromPartial({ ...reachable, ...state });
    const wanted = SendRequest.fromPartial({
      idempotencyKey: 'k',
      channel: 'email',
      purpose: 'marketing',
      templateId: 't',
      ...request,
    });
    const base: Circumstances = {
      now: NOON,
      policy: DEFAULT_POLICY,
      shopTimeZone: 'Asia/Shanghai',
      channels: new Set(['email', 'sms', 'webhook']),
      template: { category: 'news' },
    };
    expect(decide(customer, wanted, { ...base, ...at })).toEqual(verdict);
  });
});
