import { expect, test } from 'vitest';
import { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import { verdict } from './verdict.ts';

const orders = { variant: 'b', metric: 'conversion', effect: 0.08, effectLow: 0.02, effectHigh: 0.14, p: 0.01 };
const sales = { variant: 'b', metric: 'revenue', effect: 12.3, effectLow: 2.1, effectHigh: 22.5, p: 0.02 };

test.each<[string, Partial<ExperimentResult>, string]>([
  ['proven good', orders, 'b, buyers: works, +8.0 points (95 % +2.0 points to +14.0 points).'],
  [
    'proven harm',
    { ...orders, effect: -0.08, effectLow: -0.14, effectHigh: -0.02 },
    'b, buyers: does harm, −8.0 points (95 % −14.0 points to −2.0 points).',
  ],
  [
    'no effect to be seen',
    { ...orders, effectLow: -0.02, p: 0.2 },
    'b, buyers: not proven, +8.0 points (95 % −2.0 points to +14.0 points).',
  ],
  ['p exactly at the limit', { ...orders, p: 0.05 }, 'b, buyers: not proven, +8.0 points'],
  [
    'significant alone, but not among several arms',
    { ...orders, p: 0.03, pBonferroni: 0.06 },
    'b, buyers: not proven, counted as one of several arms, +8.0 points',
  ],
  ['significant among several arms too', { ...orders, p: 0.01, pBonferroni: 0.02 }, 'b, buyers: works,'],
  [
    'sales, with what they earned',
    { ...sales, incremental: 12345.6 },
    'b, sales: works, +12.30 a head (95 % +2.10 a head to +22.50 a head); earned about 12346 against no message.',
  ],
  ['sales lost', { ...sales, effect: -3, incremental: -300 }, '; cost about 300 against no message.'],
  [
    'orders are counted a head, not in points',
    { ...orders, metric: 'orders' },
    'b, orders: works, +0.08 a head (95 % +0.02 a head to +0.14 a head).',
  ],
  ['the value of an order', { ...sales, metric: 'order_value' }, 'b, order value: works, +12.30 an order'],
  ['visits are a share', { ...orders, metric: 'visit', kind: 'share' }, 'b, visitors: works, +8.0 points'],
  [
    'nothing is earned before it is proven',
    { ...sales, p: 0.3, incremental: 12345 },
    '(95 % +2.10 a head to +22.50 a head).',
  ],
  ['too few people', { ...orders, p: undefined }, 'b, buyers: too few people to tell.'],
  ['arms of the wrong size', { ...orders, srmP: 0.0005 }, 'b, buyers: not to be trusted'],
  ['arms of plausible size', { ...orders, srmP: 0.001 }, 'b, buyers: works,'],
])('%s', (_, result, said) => {
  expect(verdict(ExperimentResult.fromPartial(result))).toContain(said);
});
