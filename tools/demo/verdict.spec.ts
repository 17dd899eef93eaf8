import { expect, test } from 'vitest';
import { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import { verdict } from './verdict.ts';

const orders = { variant: 'b', metric: 'conversion', effect: 0.08, effectLow: 0.02, effectHigh: 0.14, p: 0.01 };
const sales = { variant: 'b', metric: 'revenue', effect: 12.3, effectLow: 2.1, effectHigh: 22.5, p: 0.02 };

test.each<[string, Partial<ExperimentResult>, string]>([
  ['proven good', orders, 'b, orders: works, +8.0 points (95 % +2.0 points to +14.0 points).'],
  [
    'proven harm',
    { ...orders, effect: -0.08, effectLow: -0.14, effectHigh: -0.02 },
    'b, orders: does harm, −8.0 points (95 % −14.0 points to −2.0 points).',
  ],
  [
    'no effect to be seen',
    { ...orders, effectLow: -0.02, p: 0.2 },
    'b, orders: not proven, +8.0 points (95 % −2.0 points to +14.0 points).',
  ],
  ['p exactly at the limit', { ...orders, p: 0.05 }, 'b, orders: not proven, +8.0 points'],
  [
    'significant alone, but not among several arms',
    { ...orders, p: 0.03, pBonferroni: 0.06 },
    'b, orders: not proven, counted as one of several arms, +8.0 points',
  ],
  ['significant among several arms too', { ...orders, p: 0.01, pBonferroni: 0.02 }, 'b, orders: works,'],
  [
    'sales, with what they earned',
    { ...sales, incremental: 12345.6 },
    'b, sales: works, +12.30 a head (95 % +2.10 a head to +22.50 a head); earned about 12346 against no message.',
  ],
  ['sales lost', { ...sales, effect: -3, incremental: -300 }, '; cost about 300 against no message.'],
  [
    'nothing is earned before it is proven',
    { ...sales, p: 0.3, incremental: 12345 },
    '(95 % +2.10 a head to +22.50 a head).',
  ],
  ['too few people', { ...orders, p: undefined }, 'b, orders: too few people to tell.'],
  ['arms of the wrong size', { ...orders, srmP: 0.0005 }, 'b, orders: not to be trusted'],
  ['arms of plausible size', { ...orders, srmP: 0.001 }, 'b, orders: works,'],
])('%s', (_, result, said) => {
  expect(verdict(ExperimentResult.fromPartial(result))).toContain(said);
});
