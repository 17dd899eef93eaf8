import { Temporal } from 'temporal-polyfill';
import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { beginOf } from './frequency-cap.ts';
import { isQuiet, nextAllowed, nextQuiet, type QuietHours } from './quiet-hours.ts';

const zones = ['Asia/Shanghai', 'Europe/Berlin', 'America/Santiago', 'Australia/Lord_Howe', 'America/Havana'];
const minute = fc.integer({ min: 0, max: 1439 });
/** Around the changes of clocks and far from them, forwards and backwards, minutes and months apart. */
const moments = fc.array(
  fc.tuple(
    fc.constantFrom('2026-03-08', '2026-03-29', '2026-04-05', '2026-10-25', '2026-11-01', '2026-07-15').map(Date.parse),
    fc.integer({ min: -40 * 3_600_000, max: 40 * 3_600_000 }),
  ),
  { minLength: 2, maxLength: 12 },
);

it('what is remembered of one moment is never told of another that is different', () => {
  fc.assert(
    fc.property(moments, fc.constantFrom(...zones), minute, minute, (times, zone, start, end) => {
      const remembering: QuietHours = { start, end };
      for (const [day, after] of times) {
        const ms = day + after;
        // An object that has been asked nothing yet.
        expect(nextAllowed(ms, zone, remembering)).toBe(nextAllowed(ms, zone, { start, end }));
        if (isQuiet(ms, zone, remembering)) continue;
        expect(nextQuiet(ms, zone, remembering)).toBe(nextQuiet(ms, zone, { start, end }));
      }
    }),
    { numRuns: 80 },
  );
});

it('nor of the begin of a day, week or month', () => {
  const units = fc.constantFrom('day', 'week', 'month');
  fc.assert(
    fc.property(moments, fc.constantFrom(...zones), units, (times, zone, unit) => {
      for (const [day, after] of times) {
        const ms = day + after;
        const begin = beginOf(unit, ms, zone);
        const afresh = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone).toPlainDate();
        const back = unit === 'day' ? 0 : unit === 'week' ? afresh.dayOfWeek - 1 : afresh.day - 1;
        expect(begin).toBe(afresh.subtract({ days: back }).toZonedDateTime(zone).epochMilliseconds);
      }
    }),
    { numRuns: 80 },
  );
});
