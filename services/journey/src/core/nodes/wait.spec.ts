import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { parseDuration } from '../definition/duration.ts';
import { nextLocalTime } from './wait.ts';

const at = (iso: string) => Date.parse(iso);

describe('nextLocalTime', () => {
  it.each([
    ['2026-03-02T00:00:00Z', '10:00', 'Asia/Shanghai', '2026-03-02T02:00:00Z'],
    ['2026-03-02T02:00:00Z', '10:00', 'Asia/Shanghai', '2026-03-02T02:00:00Z'],
    ['2026-03-02T02:00:00.001Z', '10:00', 'Asia/Shanghai', '2026-03-03T02:00:00Z'],
    ['2026-03-02T20:00:00Z', '00:00', 'Asia/Shanghai', '2026-03-03T16:00:00Z'],
    // The hour the clock skips, and the one it shows twice.
    ['2026-03-28T23:00:00Z', '02:30', 'Europe/Berlin', '2026-03-29T01:30:00Z'],
    ['2026-10-24T22:00:00Z', '02:30', 'Europe/Berlin', '2026-10-25T00:30:00Z'],
  ])('from %s, %s in %s', (from, time, zone, expected) => {
    const [hours, minutes] = time.split(':').map(Number) as [number, number];
    expect(new Date(nextLocalTime(at(from), hours * 60 + minutes, zone)).toISOString()).toBe(
      new Date(expected).toISOString(),
    );
  });

  it('is never before the moment asked for, and less than 26 hours after it', () => {
    const zones = fc.constantFrom('Asia/Shanghai', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe');
    const moments = fc.integer({ min: at('2020-01-01'), max: at('2030-01-01') });
    fc.assert(
      fc.property(moments, fc.integer({ min: 0, max: 1439 }), zones, (from, minutes, zone) => {
        const next = nextLocalTime(from, minutes, zone);
        expect(next).toBeGreaterThanOrEqual(from);
        expect(next - from).toBeLessThan(26 * 3_600_000);
        // What is remembered from one question does not change the answer to another.
        const between = from + Math.floor((next - from) / 2);
        expect(nextLocalTime(between, minutes, zone)).toBe(next);
        expect(nextLocalTime(next + 1, minutes, zone)).toBeGreaterThan(next);
      }),
      { numRuns: 300 },
    );
  });
});

describe('parseDuration', () => {
  it.each([
    ['P3D', 259_200_000],
    ['PT2H30M', 9_000_000],
    ['P1W', 604_800_000],
    ['P1DT1S', 86_401_000],
    ['1500', 1500],
    ['P400D', 400 * 86_400_000],
  ])('%s', (text, expected) => expect(parseDuration(text)).toBe(expected));

  it.each(['', 'P', 'PT', 'P1DT', 'P1M', 'P1Y', '-P1D', 'P1.5D', '3 days', 'P401D', '0', 'PT0S'])(
    'refuses "%s"',
    (text) => expect(typeof parseDuration(text)).toBe('string'),
  );
});
