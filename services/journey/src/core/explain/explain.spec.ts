import { describe, expect, test } from 'vitest';
import { JourneyRecord } from '#gen/recur/analytics/v1/analytics_service.ts';
import { Journey, JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import { VerdictKind } from '#gen/recur/journey/v1/service.ts';
import { RefuseReason } from '../enrol.ts';
import { LeaveReason } from '../leave.ts';
import { recordInWords } from './record.ts';
import { verdictOf } from './verdict.ts';
import { reasonInWords } from './words.ts';

const journey = Journey.fromPartial({
  id: 'day14',
  status: JourneyStatus.JOURNEY_STATUS_ACTIVE,
  definition: { trigger: { kind: { $case: 'segmentEntered', value: 'first_order' } } },
});

let clock = 0;
const record = (kind: string, what: string, more: Partial<JourneyRecord> = {}) =>
  JourneyRecord.fromPartial({ timeMs: ++clock * 1_000, kind, what, enrolmentId: 'e1', ...more });
const enrolled = record('step', 'enrolled');
const asked = { nodeId: 'care', channel: 'email' };

describe('how it stands', () => {
  test.each<[what: string, records: JourneyRecord[], kind: keyof typeof VerdictKind, reason: string, words: RegExp]>([
    ['nothing', [], 'VERDICT_KIND_NOT_TRIGGERED', '', /never happened: entering segment first_order/],
    [
      'the segment entered before the journey was on',
      [record('segment', 'entered', { branch: 'first_order', enrolmentId: '' })],
      'VERDICT_KIND_NOT_LET_IN',
      '',
      /happened last at 1970/,
    ],
    [
      'left the segment only, which lets nobody in',
      [record('segment', 'exited', { branch: 'first_order', enrolmentId: '' })],
      'VERDICT_KIND_NOT_TRIGGERED',
      '',
      /never happened/,
    ],
    [
      're-entry',
      [record('step', 'refused', { reason: 'reentry_after_180_days' })],
      'VERDICT_KIND_REFUSED',
      'reentry_after_180_days',
      /180 days have to pass/,
    ],
    [
      'hold-out of the journey',
      [record('exposure', 'hold_out', { reason: 'hold_out' }), record('step', 'refused', { reason: 'hold_out' })],
      'VERDICT_KIND_HELD_OUT',
      'hold_out',
      /hold-out/,
    ],
    [
      'hold-out arm',
      [enrolled, record('exposure', 'hold_out', { reason: 'hold_out', branch: 'day14' }), record('step', 'exited')],
      'VERDICT_KIND_HELD_OUT',
      'hold_out',
      /hold-out of experiment day14/,
    ],
    [
      'waits',
      [enrolled, record('step', 'reached', { nodeId: 'two_weeks' })],
      'VERDICT_KIND_WAITING',
      '',
      /at two_weeks since/,
    ],
    [
      'bought before',
      [enrolled, record('step', 'reached'), record('step', 'exited', { reason: 'exited_segment: first_order' })],
      'VERDICT_KIND_LEFT',
      'exited_segment: first_order',
      /left segment first_order/,
    ],
    [
      'cap',
      [enrolled, record('decision', 'drop', { ...asked, reason: 'frequency_cap' }), record('step', 'exited')],
      'VERDICT_KIND_DROPPED',
      'frequency_cap',
      /Message care was not sent at .*cap allows/,
    ],
    [
      'quiet hours',
      [enrolled, record('decision', 'defer', { ...asked, reason: 'quiet_hours' })],
      'VERDICT_KIND_DEFERRED',
      'quiet_hours',
      /put off at .*quiet time/,
    ],
    [
      'sent after it was put off',
      [
        enrolled,
        record('decision', 'defer', { ...asked, reason: 'quiet_hours' }),
        record('decision', 'send', { ...asked, reason: 'ok' }),
        record('delivery', 'intent', asked),
        record('delivery', 'sent', { ...asked, reason: 'found by its Message-ID' }),
      ],
      'VERDICT_KIND_SENT',
      '',
      /Message care was sent at/,
    ],
    ['no answer', [enrolled, record('delivery', 'unknown', asked)], 'VERDICT_KIND_UNKNOWN', '', /nobody knows/],
    [
      'the newest entry counts',
      [
        enrolled,
        record('delivery', 'sent', asked),
        record('step', 'exited'),
        record('step', 'refused', { enrolmentId: 'e2', reason: 'reentry_never' }),
      ],
      'VERDICT_KIND_REFUSED',
      'reentry_never',
      /does not enter again/,
    ],
  ])('%s', (_, records, kind, reason, words) => {
    const verdict = verdictOf({ journey, records, eventMs: undefined });
    expect(verdict).toMatchObject({ kind: VerdictKind[kind], reason });
    expect(verdict.said?.english).toMatch(words);
    expect(verdict.said?.chinese).toMatch(/[一-鿿].*。$/);
  });

  test('a draft lets nobody in', () => {
    const draft = { ...journey, status: JourneyStatus.JOURNEY_STATUS_DRAFT };
    expect(verdictOf({ journey: draft, records: [], eventMs: 5 }).kind).toBe(VerdictKind.VERDICT_KIND_NOT_STARTED);
  });

  test('an event that happened and let nobody in', () => {
    const byEvent = Journey.fromPartial({
      status: JourneyStatus.JOURNEY_STATUS_ACTIVE,
      definition: { trigger: { kind: { $case: 'event', value: { name: 'Order Completed' } } } },
    });
    const { kind, said } = verdictOf({ journey: byEvent, records: [], eventMs: 86_400_000 });
    expect(kind).toBe(VerdictKind.VERDICT_KIND_NOT_LET_IN);
    expect(said?.english).toContain('event “Order Completed”) happened last at 1970-01-02');
  });
});

test('every reason this service gives has words in both languages', () => {
  const given = [...Object.values(LeaveReason), ...Object.values(RefuseReason)]
    .filter((reason) => reason !== LeaveReason.missingNode)
    .map((reason) => (typeof reason === 'function' ? reason(7 as never) : reason));
  for (const reason of given) {
    const { english, chinese } = reasonInWords(reason);
    expect([reason, english === reason, /[一-鿿]/.test(chinese)]).toEqual([reason, false, true]);
  }
  expect(reasonInWords('bought a boat')).toEqual({ english: 'bought a boat', chinese: 'bought a boat' });
});

test('records in words', () => {
  const words = (kind: string, what: string, more: Partial<JourneyRecord>) =>
    recordInWords(record(kind, what, more)).english;
  expect(words('step', 'reached', { nodeId: 'care', branch: 'message' })).toBe('Came to care by way of message.');
  expect(words('decision', 'defer', { ...asked, reason: 'quiet_hours', untilMs: 3_600_000 })).toBe(
    'care: put off until 1970-01-01T01:00:00.000Z: it was quiet time where the customer lives.',
  );
  expect(words('exposure', 'a', { branch: 'welcome' })).toBe('Variant a of experiment welcome.');
  expect(words('delivery', 'bounced', { ...asked, templateId: 't' })).toBe('care (t): bounced.');
});
