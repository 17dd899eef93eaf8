import { expect, test } from 'vitest';
import { MonetaryBasis, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { OrderFigures } from '#lib/facts/facts.ts';
import { DEFAULT_LIFECYCLE, lifecycleNext, lifecycleReason, lifecycleStage } from './lifecycle.ts';
import { DEFAULT_RFM, RFM_CLASSES, rfmClass, rfmNext, rfmReason } from './rfm.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);

const figures = (fields: Partial<OrderFigures>): OrderFigures => ({
  placed: fields.kept ?? 0,
  refundedOrders: 0,
  kept: 0,
  grossMicros: 0,
  refundedMicros: 0,
  netMicros: 0,
  firstMs: undefined,
  lastMs: undefined,
  ...fields,
});

test('eight classes by three answers', () => {
  const names = [true, false].flatMap((r) =>
    [true, false].flatMap((f) =>
      [true, false].map((m) => {
        const one = figures({
          kept: f ? 2 : 1,
          netMicros: m ? 1_000_000_001 : 1_000_000_000,
          lastMs: NOW - (r ? 90 : 91) * DAY,
        });
        return rfmClass(one, DEFAULT_RFM, NOW)?.chineseName;
      }),
    ),
  );
  expect(names).toEqual(['重要价值', '一般价值', '重要发展', '一般发展', '重要保持', '一般保持', '重要挽留', '流失']);
  expect(new Set(RFM_CLASSES.map(({ id }) => id)).size).toBe(8);
});

test('no class without an order that was kept', () => {
  expect(rfmClass(figures({ placed: 1, refundedOrders: 1, grossMicros: 5e9 }), DEFAULT_RFM, NOW)).toBeUndefined();
  expect(lifecycleStage(figures({ placed: 1, refundedOrders: 1 }), DEFAULT_LIFECYCLE, NOW)).toBe('prospect');
});

test('gross or net', () => {
  const one = figures({ kept: 1, grossMicros: 1_200e6, refundedMicros: 300e6, netMicros: 900e6, lastMs: NOW });
  expect(rfmClass(one, DEFAULT_RFM, NOW)?.id).toBe('general_develop');
  const gross = RfmSettings.fromPartial({ ...DEFAULT_RFM, monetaryBasis: MonetaryBasis.MONETARY_BASIS_GROSS });
  expect(rfmClass(one, gross, NOW)?.id).toBe('important_develop');
  expect(rfmReason(one, DEFAULT_RFM, NOW + 1.5 * DAY)).toBe('R 1.5 d <= 90, F 1 <= 1, M 900.00 <= 1000.00 (net)');
});

test('the next moment is the first at which the answer differs', () => {
  const last = NOW - 3 * DAY;
  for (const kept of [1, 3, 7]) {
    const one = figures({ kept, netMicros: 1e9, lastMs: last });
    for (const recencyDays of [3, 3.0000001, 90, 92.60043462968545]) {
      const settings = RfmSettings.fromPartial({ ...DEFAULT_RFM, recencyDays });
      const due = rfmNext(one, settings, NOW);
      expect(due).toBeGreaterThan(NOW);
      expect(rfmClass(one, settings, due - 1)?.recencyHigh).toBe(true);
      expect(rfmClass(one, settings, due)?.recencyHigh).toBe(false);
      expect(rfmNext(one, settings, due)).toBe(Number.POSITIVE_INFINITY);
    }
    const stages: string[] = [];
    for (let at = NOW; at !== Number.POSITIVE_INFINITY; at = lifecycleNext(one, DEFAULT_LIFECYCLE, at)) {
      stages.push(lifecycleStage(one, DEFAULT_LIFECYCLE, at));
      if (at > NOW) expect(lifecycleStage(one, DEFAULT_LIFECYCLE, at - 1)).toBe(stages.at(-2));
    }
    expect(stages).toEqual([kept === 1 ? 'first_purchase' : kept === 3 ? 'active' : 'loyal', 'at_risk', 'lost']);
  }
});

test('reasons name the numbers', () => {
  const one = figures({ kept: 3, netMicros: 1e9, lastMs: NOW });
  expect(lifecycleReason(one, DEFAULT_LIFECYCLE, NOW + 2 * DAY)).toBe('3 orders, 2 to 4, last order 2 d ago <= 60 d');
  expect(lifecycleReason(one, DEFAULT_LIFECYCLE, NOW + 61.25 * DAY)).toBe('last order 61.25 d ago > 60 d');
  expect(lifecycleReason(figures({}), DEFAULT_LIFECYCLE, NOW)).toBe('no order that was kept');
});

test('exactly at the threshold is still recent, where floating point makes less of it', () => {
  const one = figures({ kept: 1, lastMs: NOW - 8_000_640_000 });
  const settings = RfmSettings.fromPartial({ ...DEFAULT_RFM, recencyDays: 92.6 });
  expect(settings.recencyDays * DAY).toBeLessThan(8_000_640_000);
  expect(rfmClass(one, settings, NOW)?.recencyHigh).toBe(true);
  expect(rfmClass(one, settings, NOW + 1)?.recencyHigh).toBe(false);
});
