import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { type Day, localDay, readDay } from './day.ts';
import { FESTIVALS } from './festival.ts';
import { type DateRule, nextOccurrence } from './occurrence.ts';
import { nextOpen } from './opening.ts';
import { momentsOf } from './schedule.ts';

const at = (iso: string) => Date.parse(iso);
const ZONE = 'Asia/Shanghai';
const RULE: DateRule = { offsetDays: 0, minutes: 600, yearly: true, lunar: false };
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

describe('readDay', () => {
  it.each([
    ['1990-05-17', { year: 1990, month: 5, day: 17 }],
    ['05-17', { year: undefined, month: 5, day: 17 }],
    ['--02-29', { year: undefined, month: 2, day: 29 }],
    ['2026-03-01T23:30:00Z', { year: 2026, month: 3, day: 2 }],
    ['1990-02-30', undefined],
    ['2026-13-01', undefined],
    ['00-10', undefined],
    ['soon', undefined],
    [19900517, undefined],
  ])('%s', (value, expected) => expect(readDay(value, ZONE)).toEqual(expected));
});

describe('nextOccurrence', () => {
  const next = (rule: Partial<DateRule>, day: string, after: string) =>
    iso(nextOccurrence({ ...RULE, ...rule }, readDay(day, ZONE) as Day, at(after), ZONE));

  it.each([
    [{}, '1990-05-17', '2026-03-02T00:00:00Z', '2026-05-17T02:00:00.000Z'],
    [{}, '1990-05-17', '2026-05-17T02:00:00Z', '2027-05-17T02:00:00.000Z'],
    [{}, '05-17', '2026-05-17T01:59:59.999Z', '2026-05-17T02:00:00.000Z'],
    [{ offsetDays: -7 }, '01-03', '2026-12-01T00:00:00Z', '2026-12-27T02:00:00.000Z'],
    [{ offsetDays: 366 }, '01-03', '2026-12-01T00:00:00Z', '2027-01-04T02:00:00.000Z'],
    [{}, '1992-02-29', '2026-01-01T00:00:00Z', '2026-02-28T02:00:00.000Z'],
    [{}, '1992-02-29', '2028-01-01T00:00:00Z', '2028-02-29T02:00:00.000Z'],
    [{ yearly: false }, '2026-06-01', '2026-01-01T00:00:00Z', '2026-06-01T02:00:00.000Z'],
    [{ yearly: false }, '2026-06-01', '2026-06-01T02:00:00Z', undefined],
    [{ yearly: false }, '06-01', '2026-01-01T00:00:00Z', undefined],
  ])('%j %s after %s', (rule, day, after, expected) => expect(next(rule, day, after)).toBe(expected));

  it.each([
    // Born on the 15th of the 8th month (1990-10-03 was Mid-Autumn): kept on Mid-Autumn.
    ['1990-10-03', '2026-01-01T00:00:00Z', '2026-09-25'],
    // In a leap fourth month (2020 had one, 2001 too): kept in the fourth.
    ['2020-06-01', '2026-01-01T00:00:00Z', '2026-05-26'],
    ['08-15', '2026-01-01T00:00:00Z', '2026-09-25'],
    // A 30th in a month of 29 days.
    ['12-30', '2026-01-19T00:00:00Z', '2026-02-16'],
  ])('by the Chinese calendar: %s after %s', (day, after, expected) =>
    expect(next({ lunar: true }, day, after)?.slice(0, 10)).toBe(expected),
  );

  it('is the first there is, and the one after it is about a year later', { timeout: 120_000 }, () => {
    const days = fc.record({
      year: fc.option(fc.integer({ min: 1930, max: 2020 }), { nil: undefined }),
      month: fc.integer({ min: 1, max: 12 }),
      day: fc.integer({ min: 1, max: 28 }),
    });
    const rules = fc.record({
      offsetDays: fc.integer({ min: -366, max: 366 }),
      minutes: fc.integer({ min: 0, max: 1439 }),
      yearly: fc.constant(true),
      lunar: fc.boolean(),
    });
    const moments = fc.integer({ min: at('2020-01-01'), max: at('2040-01-01') });
    const zones = fc.constantFrom('Asia/Shanghai', 'Europe/Berlin', 'America/St_Johns');
    fc.assert(
      fc.property(rules, days, moments, zones, (rule, day, after, zone) => {
        const found = nextOccurrence(rule, day, after, zone) as number;
        expect(found).toBeGreaterThan(after);
        expect(nextOccurrence(rule, day, found - 1, zone)).toBe(found);
        const between = after + Math.floor((found - after) / 2);
        expect(nextOccurrence(rule, day, between, zone)).toBe(between === found ? found : found);
        const apart = ((nextOccurrence(rule, day, found, zone) as number) - found) / 86_400_000;
        // A common year of the Chinese calendar has 353 to 355 days, a leap year 383 to 385; clocks may change in between.
        expect(apart).toBeGreaterThan(rule.lunar ? 352 : 364);
        expect(apart).toBeLessThan(rule.lunar ? 386 : 367);
      }),
      { numRuns: 60 },
    );
  });
});

describe('festivals', () => {
  // As the State Council's calendars and the Hong Kong Observatory's tables have them.
  it.each([
    [
      'spring_festival',
      ['2024-02-10', '2025-01-29', '2026-02-17', '2027-02-06', '2028-01-26', '2029-02-13', '2033-01-31', '2034-02-19'],
    ],
    ['spring_festival_eve', ['2024-02-09', '2025-01-28', '2026-02-16', '2027-02-05']],
    ['lantern', ['2024-02-24', '2025-02-12', '2026-03-03']],
    ['dragon_boat', ['2024-06-10', '2025-05-31', '2026-06-19', '2027-06-09']],
    ['qixi', ['2024-08-10', '2025-08-29', '2026-08-19']],
    ['mid_autumn', ['2024-09-17', '2025-10-06', '2026-09-25', '2027-09-15', '2033-09-08']],
    ['double_ninth', ['2024-10-11', '2025-10-29', '2026-10-18']],
    ['national_day', ['2026-10-01']],
  ])('%s', (name, days) => {
    expect(FESTIVALS.has(name)).toBe(true);
    const festival = { name, offsetDays: 0, at: '10:00' };
    for (const day of days) {
      const moments = momentsOf({ segmentId: 's', when: { $case: 'festival', value: festival } });
      const found = moments(at(`${day.slice(0, 4)}-01-01T00:00:00Z`), ZONE) as number;
      expect(localDay(found, ZONE).toString()).toBe(day);
    }
  });
});

describe('cron', () => {
  it('goes by the clock of the shop, also where it is put forward', () => {
    const moments = momentsOf({ segmentId: 's', when: { $case: 'cron', value: '30 9 * * 1' } });
    expect(iso(moments(at('2026-03-23T00:00:00Z'), 'Europe/Berlin'))).toBe('2026-03-23T08:30:00.000Z');
    expect(iso(moments(at('2026-03-23T08:30:00Z'), 'Europe/Berlin'))).toBe('2026-03-30T07:30:00.000Z');
    expect(iso(moments(at('2026-03-25T00:00:00Z'), 'Europe/Berlin'))).toBe('2026-03-30T07:30:00.000Z');
  });
});

describe('nextOpen', () => {
  const hours = { opens: 600, closes: 1260, days: new Set([1, 2, 3, 4, 5]) };
  it.each([
    ['2026-03-02T04:00:00Z', '2026-03-02T04:00:00.000Z'],
    ['2026-03-02T00:00:00Z', '2026-03-02T02:00:00.000Z'],
    ['2026-03-02T13:00:00Z', '2026-03-03T02:00:00.000Z'],
    ['2026-03-06T13:00:00Z', '2026-03-09T02:00:00.000Z'],
  ])('from %s', (from, expected) => expect(iso(nextOpen(hours, at(from), ZONE))).toBe(expected));

  it('knows hours that end on the next day', () => {
    const night = { opens: 1200, closes: 120, days: new Set([5]) };
    expect(iso(nextOpen(night, at('2026-03-06T17:30:00Z'), ZONE))).toBe('2026-03-06T17:30:00.000Z');
    expect(iso(nextOpen(night, at('2026-03-06T18:00:00Z'), ZONE))).toBe('2026-03-13T12:00:00.000Z');
  });
});
