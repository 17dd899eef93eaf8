import type { CategoryStats, EventStats, Facts } from '#gen/recur/facts/v1/facts.ts';
import type { SequenceCondition } from '#gen/recur/segmentation/v1/rule.ts';
import { averageOrder, findEvent } from '#lib/facts/facts.ts';
import type { View } from './view.ts';

/** Figures that rules compare with bounds. NaN: not known, no bound holds. */

export const DAY_MS = 86_400_000;

/** A whole number: 92.6 days times 86,400,000 is a hair below 8,000,640,000 in floating point. */
export const daysInMs = (days: number): number => Math.round(days * DAY_MS);

export const ORDER_FIGURES = [
  'count',
  'grossMicros',
  'netMicros',
  'averageMicros',
  'refundedMicros',
  'daysSinceLast',
  'daysSinceFirst',
] as const;
export type OrderFigure = (typeof ORDER_FIGURES)[number];

/** Days are counted in milliseconds inside: thresholds are scaled once, when a rule is compiled. */
export const orderScale = (figure: OrderFigure): number =>
  figure === 'daysSinceLast' || figure === 'daysSinceFirst' ? DAY_MS : 1;

export function orderFigure(view: View, figure: OrderFigure): number {
  const figures = view.figures;
  switch (figure) {
    case 'count':
      return figures.kept;
    case 'grossMicros':
      return figures.grossMicros;
    case 'netMicros':
      return figures.netMicros;
    case 'averageMicros':
      return averageOrder(figures) ?? Number.NaN;
    case 'refundedMicros':
      return figures.refundedMicros;
    case 'daysSinceLast':
      return view.now - (figures.lastMs ?? Number.NaN);
    case 'daysSinceFirst':
      return view.now - (figures.firstMs ?? Number.NaN);
  }
}

export function sinceLast(stats: EventStats | undefined, now: number): number {
  return stats === undefined ? Number.NaN : now - stats.lastMs;
}

export function happenedInOrder(facts: Facts, { first, second, afterLast }: SequenceCondition): boolean {
  const a = findEvent(facts, first);
  const b = findEvent(facts, second);
  if (a === undefined || b === undefined) return false;
  return b.lastMs > (afterLast ? a.lastMs : a.firstMs);
}

export const CATEGORY_FIGURES = ['bought', 'viewed', 'amountMicros'] as const;
export type CategoryFigure = (typeof CATEGORY_FIGURES)[number];

export function findCategory(facts: Facts, name: string): CategoryStats | undefined {
  const { categories } = facts;
  for (let i = 0; i < categories.length; i++) if ((categories[i] as CategoryStats).name === name) return categories[i];
  return undefined;
}

export function categoryFigure(facts: Facts, name: string, figure: CategoryFigure): number {
  return findCategory(facts, name)?.[figure] ?? 0;
}

/** One text for one value, so that 1 and "1" differ. */
export const scalarKey = (value: unknown): string => JSON.stringify(value) ?? '';
