import { describe, expect, it } from 'vitest';
import type { MarketingSend } from '#gen/recur/messaging/v1/state.ts';
import fc from '#tools/testkit/fast-check.ts';
import { beginOf, type Cap, capReached } from './frequency-cap.ts';

const HOUR = 3_600_000;
const at = (text: string) => Date.parse(text);
const sms = (timeMs: number, category = ''): MarketingSend => ({ keyHash: timeMs, timeMs, channel: 'sms', category });
const cap = (more: Partial<Cap>): Cap => ({
  channel: '',
  category: '',
  messages: 1,
  window: { calendar: 'day' },
  ...more,
});
const wanted = { channel: 'sms', category: 'promo', zone: 'Asia/Shanghai' };
const reached = (sends: MarketingSend[], now: number, ...caps: Cap[]) => capReached(sends, wanted, now, { caps });

describe('a cap', () => {
  it('of a calendar day ends at midnight where the customer lives', () => {
    const sends = [sms(at('2026-05-05T23:50+08:00'))];
    expect(reached(sends, at('2026-05-05T23:59:59+08:00'), cap({}))).toBe(true);
    expect(reached(sends, at('2026-05-06T00:00+08:00'), cap({}))).toBe(false);
    expect(
      capReached(sends, { ...wanted, zone: 'Europe/Berlin' }, at('2026-05-06T00:00+08:00'), { caps: [cap({})] }),
    ).toBe(true);
  });

  it('of a week begins on Monday, of a month on the first; its first moment counts', () => {
    const week = cap({ window: { calendar: 'week' } });
    const monday = at('2026-05-04T00:00+08:00');
    expect(reached([sms(monday)], at('2026-05-10T23:59+08:00'), week)).toBe(true);
    expect(reached([sms(monday - 1)], at('2026-05-10T23:59+08:00'), week)).toBe(false);
    const month = cap({ window: { calendar: 'month' } });
    expect(reached([sms(at('2026-05-01T00:00+08:00'))], at('2026-05-31T23:59+08:00'), month)).toBe(true);
    expect(reached([sms(at('2026-05-01T00:00+08:00') - 1)], at('2026-05-31T23:59+08:00'), month)).toBe(false);
  });

  it('is about its channel and category only', () => {
    const now = at('2026-05-05T12:00+08:00');
    const other = { ...sms(now - HOUR), channel: 'email' };
    expect(reached([other], now, cap({ channel: 'sms' }))).toBe(false);
    expect(reached([other], now, cap({}))).toBe(true);
    expect(reached([sms(now - HOUR)], now, cap({ channel: 'email' }))).toBe(false);
    expect(reached([sms(now - HOUR, 'news')], now, cap({ category: 'promo' }))).toBe(false);
    expect(reached([sms(now - HOUR, 'promo')], now, cap({ category: 'promo' }))).toBe(true);
    expect(reached([sms(now - HOUR, 'promo')], now, cap({ category: 'news' }))).toBe(false);
  });

  it('beside others: all must allow it', () => {
    const now = at('2026-05-05T12:00+08:00');
    const wide = cap({ messages: 5, window: { rollingMs: 24 * HOUR } });
    expect(reached([sms(now - HOUR)], now, wide, cap({ channel: 'sms' }))).toBe(true);
    expect(reached([sms(now - HOUR)], now, wide)).toBe(false);
  });
});

it('whatever is asked for when, no window of any cap ever holds more than it allows', () => {
  const zones = ['Asia/Shanghai', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Sao_Paulo'];
  const window = fc.oneof(
    fc.integer({ min: 1, max: 744 }).map((hours) => ({ rollingMs: hours * HOUR })),
    fc.constantFrom(...(['day', 'week', 'month'] as const)).map((calendar) => ({ calendar })),
  );
  const channel = fc.constantFrom('email', 'sms');
  const category = fc.constantFrom('', 'promo', 'news');
  const caps = fc.array(
    fc.record({
      channel: fc.oneof(fc.constant(''), channel),
      category,
      messages: fc.integer({ min: 1, max: 4 }),
      window,
    }),
    { minLength: 1, maxLength: 4 },
  );
  const asks = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 60 * HOUR }), channel, category }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(fc.constantFrom(...zones), caps, asks, (zone, all, requests) => {
      const sends: MarketingSend[] = [];
      let now = at('2026-03-06T05:00Z'); // clocks change in some of the zones in the weeks to come
      for (const [i, ask] of requests.entries()) {
        now += ask.afterMs;
        if (capReached(sends, { ...ask, zone }, now, { caps: all })) continue;
        sends.push({ keyHash: i, timeMs: now, channel: ask.channel, category: ask.category });
      }
      for (const { window: w, messages, ...about } of all) {
        const mine = sends.filter(
          (s) => ['', s.channel].includes(about.channel) && ['', s.category].includes(about.category),
        );
        for (const last of mine) {
          const from = 'calendar' in w ? beginOf(w.calendar, last.timeMs, zone) : last.timeMs - w.rollingMs + 1;
          expect(mine.filter((s) => s.timeMs >= from && s.timeMs <= last.timeMs).length).toBeLessThanOrEqual(messages);
        }
      }
    }),
    { numRuns: 300 },
  );
}, 60_000);
