import { LifecycleSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { OrderFigures } from '#lib/facts/facts.ts';
import { DAY_MS, daysInMs } from './figures.ts';
import { days } from './rfm.ts';

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

export function lifecycleStage(figures: OrderFigures, settings: LifecycleSettings, now: number): LifecycleStage {
  if (figures.kept < 1 || figures.lastMs === undefined) return 'prospect';
  const elapsed = now - figures.lastMs;
  if (elapsed > daysInMs(settings.lostDays)) return 'lost';
  if (elapsed > daysInMs(settings.atRiskDays)) return 'at_risk';
  if (figures.kept >= settings.loyalOrders) return 'loyal';
  return figures.kept >= settings.activeOrders ? 'active' : 'first_purchase';
}

/** Why, in one line, with the numbers. */
export function lifecycleReason(figures: OrderFigures, settings: LifecycleSettings, now: number): string {
  const stage = lifecycleStage(figures, settings, now);
  if (stage === 'prospect' || figures.lastMs === undefined) return 'no order that was kept';
  const since = `last order ${days((now - figures.lastMs) / DAY_MS)} d ago`;
  if (stage === 'lost') return `${since} > ${days(settings.lostDays)} d`;
  if (stage === 'at_risk') return `${since} > ${days(settings.atRiskDays)} d`;
  const { kept } = figures;
  const count =
    stage === 'loyal'
      ? `${kept} orders >= ${settings.loyalOrders}`
      : stage === 'active'
        ? `${kept} orders, ${settings.activeOrders} to ${settings.loyalOrders - 1}`
        : `${kept} ${kept === 1 ? 'order' : 'orders'} < ${settings.activeOrders}`;
  return `${count}, ${since} <= ${days(settings.atRiskDays)} d`;
}

/** When time alone changes the stage; Infinity: never. */
export function lifecycleNext(figures: OrderFigures, settings: LifecycleSettings, now: number): number {
  if (figures.lastMs === undefined) return Number.POSITIVE_INFINITY;
  for (const limit of [settings.atRiskDays, settings.lostDays]) {
    const due = figures.lastMs + daysInMs(limit) + 1;
    if (due > now) return due;
  }
  return Number.POSITIVE_INFINITY;
}
