import type { LifecycleSettings, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { OrderFigures } from '#lib/facts/facts.ts';
import type { ClassMove } from './changes.ts';
import { lifecycleNext, lifecycleReason, lifecycleStage } from './lifecycle.ts';
import { rfmClass, rfmNext, rfmReason } from './rfm.ts';

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

/** Brings class and stage up to date; adds what changed to `moves`, with the reason. */
export function classify(
  { rfm, lifecycle }: ClassSettings,
  state: Classes,
  figures: OrderFigures,
  now: number,
  moves: ClassMove[],
): void {
  const found = rfmClass(figures, rfm, now)?.id ?? '';
  if (found !== state.rfmClass) {
    moves.push({ dimension: 'rfm', from: state.rfmClass, to: found, reason: rfmReason(figures, rfm, now) });
    state.rfmClass = found;
    state.rfmSinceMs = now;
  }
  const stage = lifecycleStage(figures, lifecycle, now);
  if (stage !== state.lifecycleStage) {
    const reason = lifecycleReason(figures, lifecycle, now);
    moves.push({ dimension: 'lifecycle', from: state.lifecycleStage, to: stage, reason });
    state.lifecycleStage = stage;
    state.lifecycleSinceMs = now;
  }
}

/** When time alone changes one of them; Infinity: never. */
export function nextClass({ rfm, lifecycle }: ClassSettings, figures: OrderFigures, now: number): number {
  return Math.min(rfmNext(figures, rfm, now), lifecycleNext(figures, lifecycle, now));
}
