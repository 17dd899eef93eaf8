import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { isQuiet, isTimeZone, nextAllowed, nextQuiet, type QuietHours } from './quiet-hours.ts';

const NIGHT: QuietHours = { start: 21 * 60, end: 9 * 60 };
const at = (text: string) => Temporal.Instant.from(text).epochMilliseconds;
const wall = (ms: number, zone: string) =>
  Temporal.Instant.fromEpochMilliseconds(ms)
    .toZonedDateTimeISO(zone)
    .toPlainDateTime()
    .toString({ smallestUnit: 'minute' });

describe('nextAllowed', () => {
  const cases: [name: string, now: string, zone: string, quiet: QuietHours, then: string][] = [
    ['by day', '2026-03-01T12:00+08:00', 'Asia/Shanghai', NIGHT, '2026-03-01T12:00+08:00'],
    [
      'a minute before nine in the evening',
      '2026-03-01T20:59:59+08:00',
      'Asia/Shanghai',
      NIGHT,
      '2026-03-01T20:59:59+08:00',
    ],
    ['at nine in the evening', '2026-03-01T21:00+08:00', 'Asia/Shanghai', NIGHT, '2026-03-02T09:00+08:00'],
    ['after midnight', '2026-03-02T00:10+08:00', 'Asia/Shanghai', NIGHT, '2026-03-02T09:00+08:00'],
    ['at nine in the morning', '2026-03-02T09:00+08:00', 'Asia/Shanghai', NIGHT, '2026-03-02T09:00+08:00'],
    ['the short night of spring', '2026-03-28T22:00+01:00', 'Europe/Berlin', NIGHT, '2026-03-29T09:00+02:00'],
    ['the long night of autumn', '2026-10-24T22:00+02:00', 'Europe/Berlin', NIGHT, '2026-10-25T09:00+01:00'],
    ['over the end of the year', '2026-12-31T23:30-05:00', 'America/New_York', NIGHT, '2027-01-01T09:00-05:00'],
    [
      'an end the clock jumps over',
      '2026-03-29T01:30+01:00',
      'Europe/Berlin',
      { start: 60, end: 150 },
      '2026-03-29T03:00+02:00',
    ],
    [
      'an end that comes twice',
      '2026-10-25T01:00+02:00',
      'Europe/Berlin',
      { start: 60, end: 150 },
      '2026-10-25T02:30+02:00',
    ],
    ['its second time', '2026-10-25T02:10+01:00', 'Europe/Berlin', { start: 60, end: 150 }, '2026-10-25T02:30+01:00'],
    ['no quiet hours', '2026-03-01T23:00+08:00', 'Asia/Shanghai', { start: 0, end: 0 }, '2026-03-01T23:00+08:00'],
    ['at noon', '2026-03-01T12:30+08:00', 'Asia/Shanghai', { start: 720, end: 780 }, '2026-03-01T13:00+08:00'],
  ];
  it.each(cases)('%s', (_name, now, zone, quiet, then) => {
    expect(wall(nextAllowed(at(now), zone, quiet), zone)).toBe(wall(at(then), zone));
    expect(nextAllowed(at(now), zone, quiet)).toBe(at(then));
  });

  it('is the first moment that is not quiet, in any zone, over every change of clocks', () => {
    const zones = [
      'Asia/Shanghai',
      'America/New_York',
      'Europe/Berlin',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/Santiago',
    ];
    const minute = fc.integer({ min: 0, max: 1439 });
    const from = at('2026-01-01T00:00Z') / 60_000;
    const until = at('2027-01-01T00:00Z') / 60_000;
    fc.assert(
      fc.property(
        fc.integer({ min: from, max: until }),
        fc.constantFrom(...zones),
        minute,
        minute,
        (t, zone, start, end) => {
          const quiet = { start, end };
          const now = t * 60_000;
          const then = nextAllowed(now, zone, quiet);
          expect(isQuiet(then, zone, quiet)).toBe(false);
          expect(then).toBeGreaterThanOrEqual(now);
          if (then > now) {
            expect(isQuiet(now, zone, quiet)).toBe(true);
            expect(isQuiet(then - 60_000, zone, quiet)).toBe(true);
          }
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('nextQuiet', () => {
  it.each([
    ['2026-03-01T12:00+08:00', 'Asia/Shanghai', '2026-03-01T21:00+08:00'],
    ['2026-03-29T10:00+02:00', 'Europe/Berlin', '2026-03-29T21:00+02:00'],
    // Clocks go from 3:00 back to 2:00, into quiet hours that were over.
    ['2026-10-25T02:45+02:00', 'Europe/Berlin', '2026-10-25T02:00+01:00', { start: 21 * 60, end: 2 * 60 + 30 }],
    // And to before quiet hours that have been once already.
    ['2026-10-25T02:45+02:00', 'Europe/Berlin', '2026-10-25T02:30+01:00', { start: 2 * 60 + 30, end: 2 * 60 + 40 }],
  ])('%s in %s', (now, zone, then, quiet: QuietHours = NIGHT) =>
    expect(nextQuiet(at(now), zone, quiet)).toBe(at(then)),
  );

  it('is the first quiet minute there is, around every change of clocks', () => {
    const changes = ['2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-04-04T15:00Z', '2026-11-01T05:00Z'].map(at);
    const minute = fc.integer({ min: 0, max: 1439 });
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        fc.integer({ min: -300, max: 300 }),
        fc.constantFrom('Europe/Berlin', 'Australia/Lord_Howe', 'America/Havana', 'America/New_York'),
        fc.integer({ min: 0, max: 300 }),
        minute,
        (change, offset, zone, start, end) => {
          const quiet = { start, end };
          const now = change + offset * 60_000;
          if (start === end || isQuiet(now, zone, quiet)) return;
          let then = now;
          while (!isQuiet(then, zone, quiet)) then += 60_000;
          expect(nextQuiet(now, zone, quiet)).toBe(then);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is never when there are no quiet hours', () => expect(nextQuiet(0, 'UTC', { start: 5, end: 5 })).toBe(0));
});

describe('isTimeZone', () => {
  it.each(['Asia/Shanghai', 'UTC', 'America/Argentina/Buenos_Aires', 'Etc/GMT+3'])('takes %s', (zone) => {
    expect(isTimeZone(zone)).toBe(true);
  });
  it.each(['', 'Asia/Atlantis', '../../etc/passwd', '+08:00', 'x'.repeat(100), 'Asia/Shanghai\n'])(
    'refuses %j',
    (zone) => {
      expect(isTimeZone(zone)).toBe(false);
    },
  );
});
