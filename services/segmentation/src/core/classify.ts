import type { LifecycleSettings, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { OrderFigures, ShopZone } from '#lib/facts/facts.ts';
import type { ClassMove } from './changes.ts';
import { lifecycleNext, lifecycleReason, lifecycleStage, type Rhythm } from './lifecycle.ts';
import type { Purchases } from './purchases.ts';
import { rfmClass, rfmNext, rfmReason } from './rfm.ts';
import { decisive, expectedBy, nextDay } from './rhythm.ts';

export interface ClassSettings {
  readonly rfm: RfmSettings;
  readonly lifecycle: LifecycleSettings;
}

export interface Classes {
  rfmClass: string;
  rfmSinceMs: number;
  lifecycleStage: string;
  lifecycleSinceMs: number;
}

/** What classes are made of. */
export interface Classified {
  readonly figures: OrderFigures;
  readonly purchases: Purchases;
  readonly zone: ShopZone;
  readonly now: number;
  /** Calendar day of `now`. */
  readonly today: number;
}

/** What the customer's rhythm says; undefined when there is none, or the shop does not ask. */
export function rhythmOf(
  settings: LifecycleSettings,
  { purchases, today }: Pick<Classified, 'purchases' | 'today'>,
): Rhythm | undefined {
  if (settings.rhythm === undefined) return undefined;
  const found = decisive(expectedBy(purchases, settings), today);
  return found && { decisive: found, today };
}

/** Brings class and stage up to date; adds what changed to `moves`, with the reason. */
export function classify(
  { rfm, lifecycle }: ClassSettings,
  state: Classes,
  customer: Classified,
  moves: ClassMove[],
): void {
  const { figures, now } = customer;
  const found = rfmClass(figures, rfm, now)?.id ?? '';
  if (found !== state.rfmClass) {
    moves.push({ dimension: 'rfm', from: state.rfmClass, to: found, reason: rfmReason(figures, rfm, now) });
    state.rfmClass = found;
    state.rfmSinceMs = now;
  }
  const rhythm = rhythmOf(lifecycle, customer);
  const stage = lifecycleStage(figures, lifecycle, now, rhythm);
  if (stage !== state.lifecycleStage) {
    const reason = lifecycleReason(figures, lifecycle, now, rhythm);
    moves.push({ dimension: 'lifecycle', from: state.lifecycleStage, to: stage, reason });
    state.lifecycleStage = stage;
    state.lifecycleSinceMs = now;
  }
}

/** When time alone changes one of them; Infinity: never. */
export function nextClass({ rfm, lifecycle }: ClassSettings, customer: Classified): number {
  const { figures, now } = customer;
  return Math.min(
    rfmNext(figures, rfm, now),
    lifecycleNext(figures, lifecycle, now, nextOfRhythm(lifecycle, customer)),
  );
}

function nextOfRhythm(settings: LifecycleSettings, { purchases, today, zone }: Classified): number | undefined {
  if (settings.rhythm === undefined) return undefined;
  const day = nextDay(expectedBy(purchases, settings), today);
  return day === undefined ? undefined : zone.startOfDay(day);
}
