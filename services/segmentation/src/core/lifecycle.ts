import { LifecycleSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { OrderFigures } from '#lib/facts/facts.ts';
import { DAY_MS, daysInMs } from './figures.ts';
import { days } from './rfm.ts';
import type { Expected } from './rhythm.ts';

export const LIFECYCLE_STAGES = [
  { id: 'prospect', englishName: 'Prospect', chineseName: '潜在客户' },
  { id: 'first_purchase', englishName: 'First purchase', chineseName: '首购' },
  { id: 'active', englishName: 'Active, buys again', chineseName: '复购活跃' },
  { id: 'loyal', englishName: 'Loyal', chineseName: '忠诚' },
  { id: 'at_risk', englishName: 'At risk', chineseName: '流失预警' },
  { id: 'lost', englishName: 'Lost', chineseName: '流失' },
] as const;
export type LifecycleStage = (typeof LIFECYCLE_STAGES)[number]['id'];

export const DEFAULT_LIFECYCLE: LifecycleSettings = LifecycleSettings.fromPartial({
  activeOrders: 2,
  loyalOrders: 5,
  atRiskDays: 60,
  lostDays: 180,
});

/** What a rhythm says at a moment; undefined: the customer has none. */
export interface Rhythm {
  readonly decisive: Expected;
  /** Calendar day of the shop. */
  readonly today: number;
}

export function lifecycleStage(
  figures: OrderFigures,
  settings: LifecycleSettings,
  now: number,
  rhythm?: Rhythm,
): LifecycleStage {
  if (figures.kept < 1 || figures.lastMs === undefined) return 'prospect';
  const elapsed = now - figures.lastMs;
  if (elapsed > daysInMs(settings.lostDays)) return 'lost';
  const overdue = rhythm && rhythm.today >= rhythm.decisive.overdueDay;
  if (overdue ?? elapsed > daysInMs(settings.atRiskDays)) return 'at_risk';
  if (figures.kept >= settings.loyalOrders) return 'loyal';
  return figures.kept >= settings.activeOrders ? 'active' : 'first_purchase';
}

/** Why, in one line, with the numbers. */
export function lifecycleReason(
  figures: OrderFigures,
  settings: LifecycleSettings,
  now: number,
  rhythm?: Rhythm,
): string {
  const stage = lifecycleStage(figures, settings, now, rhythm);
  if (stage === 'prospect' || figures.lastMs === undefined) return 'no order that was kept';
  const since = `last order ${days((now - figures.lastMs) / DAY_MS)} d ago`;
  if (stage === 'lost') return `${since} > ${days(settings.lostDays)} d`;
  if (stage === 'at_risk') return rhythm ? rhythmReason(rhythm) : `${since} > ${days(settings.atRiskDays)} d`;
  const { kept } = figures;
  const count =
    stage === 'loyal'
      ? `${kept} orders >= ${settings.loyalOrders}`
      : stage === 'active'
        ? `${kept} orders, ${settings.activeOrders} to ${settings.loyalOrders - 1}`
        : `${kept} ${kept === 1 ? 'order' : 'orders'} < ${settings.activeOrders}`;
  return `${count}, ${rhythm ? rhythmReason(rhythm) : `${since} <= ${days(settings.atRiskDays)} d`}`;
}

function rhythmReason({ decisive: { category, own, intervalDays, lastDay, overdueDay }, today }: Rhythm): string {
  const every = `${own ? 'own' : 'typical'} interval ${days(intervalDays)} d`;
  const limit = overdueDay - 1 - lastDay;
  const compared = today >= overdueDay ? `> ${limit} d: overdue` : `<= ${limit} d`;
  return `${category} last bought ${today - lastDay} d ago, ${every}, ${compared}`;
}

/**
 * When time alone changes the stage; Infinity: never.
 * @param rhythmMs the next moment at which a rhythm may say something else
 */
export function lifecycleNext(
  figures: OrderFigures,
  settings: LifecycleSettings,
  now: number,
  rhythmMs = Number.POSITIVE_INFINITY,
): number {
  if (figures.lastMs === undefined) return Number.POSITIVE_INFINITY;
  for (const limit of [settings.atRiskDays, settings.lostDays]) {
    const due = figures.lastMs + daysInMs(limit) + 1;
    if (due > now) return Math.min(due, rhythmMs);
  }
  return rhythmMs;
}
