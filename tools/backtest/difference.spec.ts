import { expect, test } from 'vitest';
import { Comparison } from './difference.ts';
import { printResult } from './print.ts';
import { dayIn, type Message, Tally } from './tally.ts';

const message = (customerId: string, outcome: Message['outcome'] = 'send'): Message => ({
  ...{ customerId, outcome, timeMs: 0, key: 'k', journeyId: 'j', nodeId: 'n', channel: 'email', reason: 'ok' },
});

test('customers are told apart by which run sends them something', () => {
  const comparison = new Comparison();
  comparison.first(message('a'));
  comparison.second(message('a'));
  comparison.second(message('a'));
  comparison.first(message('b'));
  comparison.second(message('b', 'drop'));
  comparison.first(message('c', 'defer'));
  comparison.second(message('d'));
  expect(comparison.end()).toEqual({ both: 1, onlyFirst: 1, onlySecond: 1, messages: 1 });
});

test("days are the shop's, also where its clocks change", () => {
  const day = dayIn('Europe/London');
  expect(day(Date.parse('2026-03-28T23:59:00Z'))).toBe('2026-03-28');
  expect(day(Date.parse('2026-03-29T22:59:00Z'))).toBe('2026-03-29');
  expect(day(Date.parse('2026-03-29T23:01:00Z'))).toBe('2026-03-30');
  expect(dayIn('Asia/Kathmandu')(Date.parse('2026-01-01T18:14:59Z'))).toBe('2026-01-01');
  expect(dayIn('Asia/Kathmandu')(Date.parse('2026-01-01T18:15:00Z'))).toBe('2026-01-02');
});

test('a journey nobody enters is said, not left out', () => {
  const result = { journeys: new Tally('UTC').journeys, refusals: {} };
  const shown = printResult(
    { customers: 0, events: 0, first: result, second: undefined, difference: undefined },
    { ids: ['quiet'], unit: 'day', compared: '' },
  );
  expect(shown).toContain('quiet: nobody would have entered.');
});
