import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { DAY_MS, ShopZone } from './zone.ts';

const HOUR = 3_600_000;
const day = (date: string): number => Date.parse(`${date}T00:00:00Z`) / DAY_MS;

test('days begin at local midnight', () => {
  const shanghai = new ShopZone('Asia/Shanghai');
  expect(shanghai.dayOf(Date.parse('2026-03-01T15:59:59.999Z'))).toBe(day('2026-03-01'));
  expect(shanghai.dayOf(Date.parse('2026-03-01T16:00:00Z'))).toBe(day('2026-03-02'));
  expect(shanghai.startOfDay(day('2026-03-02'))).toBe(Date.parse('2026-03-01T16:00:00Z'));
});

test('days of 23 and 25 hours', () => {
  const berlin = new ShopZone('Europe/Berlin');
  const length = (date: string) => berlin.startOfDay(day(date) + 1) - berlin.startOfDay(day(date));
  expect(length('2026-03-29')).toBe(23 * HOUR);
  expect(length('2026-10-25')).toBe(25 * HOUR);
  expect(length('2026-10-26')).toBe(24 * HOUR);
});

test('a midnight that does not exist: the day begins when the clock jumps', () => {
  const beirut = new ShopZone('Asia/Beirut');
  expect(new Date(beirut.startOfDay(day('2026-03-29'))).toISOString()).toBe('2026-03-28T22:00:00.000Z');
});

test('a name that is no time zone is refused', () => {
  expect(() => new ShopZone('Mars/Olympus')).toThrow(RangeError);
});

const zones = [
  'Asia/Shanghai',
  'Europe/Berlin',
  'America/St_Johns',
  'America/Sao_Paulo',
  'Pacific/Apia',
  'Australia/Lord_Howe',
  'UTC',
];

test('every moment lies in its day, and days are what the calendar of the zone says', () => {
  const cases = fc.record({
    zone: fc.constantFrom(...zones),
    ms: fc.integer({ min: Date.UTC(1995, 0, 1), max: Date.UTC(2040, 0, 1) }),
  });
  fc.assert(
    fc.property(cases, ({ zone: name, ms }) => {
      const zone = new ShopZone(name);
      const found = zone.dayOf(ms);
      expect(zone.startOfDay(found)).toBeLessThanOrEqual(ms);
      expect(zone.startOfDay(found + 1)).toBeGreaterThan(ms);
      const parts = new Intl.DateTimeFormat('en-CA', { timeZone: name }).format(ms);
      // A clock set back over midnight shows the day before once more; nowhere else may the two differ.
      expect(found - day(parts)).toBeGreaterThanOrEqual(0);
      if (name !== 'America/St_Johns') expect(found).toBe(day(parts));
    }),
    { numRuns: 400 },
  );
});

test('days never go back, around every change of the clock', () => {
  for (const name of zones) {
    const zone = new ShopZone(name);
    const went: string[] = [];
    let last = Number.NEGATIVE_INFINITY;
    for (let ms = Date.UTC(2009, 0, 1); ms < Date.UTC(2012, 0, 1); ms += 29.5 * 60_000) {
      const found = zone.dayOf(ms);
      if (found < last) went.push(new Date(ms).toISOString());
      last = found;
    }
    expect(went).toEqual([]);
  }
});
