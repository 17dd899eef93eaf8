import type { LifecycleSettings, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { orderFigures } from '#lib/facts/facts.ts';
import { cutPointsOf, isCut, moved, refreshMs } from './cut-points.ts';
import { Population } from './population.ts';
import { rfmOf } from './rfm.ts';
import { Intervals, rhythmMoved, rhythmRefreshMs } from './rhythm.ts';
import type { CustomerState } from './state.ts';

/** A walk over all customers that works out a part of settings. */
export interface Look<T> {
  show(customerId: string, state: CustomerState, now: number): void;
  /** The settings with what was found. */
  settings(walked: { readonly timeMs: number; readonly complete: boolean }): T;
}

/** How such a part is kept current. */
export interface Kept<T> {
  /** Undefined when these settings need none. */
  look(settings: T): Look<T> | undefined;
  timing(settings: T): {
    readonly everyMs: number;
    /** The look that what is there comes from; 0: none. */
    readonly lastMs: number;
    /** Nothing is there, or only what a part of the customers gave: look again soon. */
    readonly wanting: boolean;
  };
  /** Whether it is worth a new revision, which visits all customers. */
  moved(from: T, to: T): boolean;
}

export const RFM_KEPT: Kept<RfmSettings> = {
  look(settings) {
    if (!isCut(settings)) return undefined;
    const population = new Population();
    return {
      show: (customerId, state, now) => {
        const rfm = rfmOf(orderFigures(state.facts), settings, now);
        if (rfm !== undefined) population.add(customerId, rfm);
      },
      settings: (walked) => ({ ...settings, cutPoints: cutPointsOf(settings, population, walked) }),
    };
  },
  timing: (settings) => ({
    everyMs: refreshMs(settings),
    lastMs: settings.cutPoints?.timeMs ?? 0,
    wanting: settings.cutPoints?.partial ?? true,
  }),
  moved: (from, to) => moved(from.cutPoints, to.cutPoints),
};

export const LIFECYCLE_KEPT: Kept<LifecycleSettings> = {
  look(settings) {
    if (settings.rhythm === undefined) return undefined;
    const intervals = new Intervals();
    return {
      show: (_customerId, { purchases }) => intervals.add(purchases),
      // What a part of the customers gives is no reason to forget what all of them gave.
      settings: ({ timeMs, complete }) =>
        complete || settings.typicalTimeMs === 0
          ? { ...settings, typical: intervals.typical(), typicalTimeMs: complete ? timeMs : 0 }
          : settings,
    };
  },
  timing: ({ rhythm, typicalTimeMs }) => ({
    everyMs: rhythm === undefined ? Number.POSITIVE_INFINITY : rhythmRefreshMs(rhythm),
    lastMs: typicalTimeMs,
    wanting: typicalTimeMs === 0,
  }),
  moved: (from, to) => rhythmMoved(from.typical, to.typical) || (from.typicalTimeMs === 0 && to.typicalTimeMs > 0),
};
