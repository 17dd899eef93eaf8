import type { RfmCutPoints, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { orderFigures } from '#lib/facts/facts.ts';
import { cutPointsOf } from '../core/cut-points.ts';
import { Population } from '../core/population.ts';
import { rfmOf } from '../core/rfm.ts';
import type { States } from './states.ts';
import { walk } from './walk.ts';

/** Where the customers there are now are cut by these settings; undefined when none has a kept order. */
export async function cutPoints(
  states: States,
  settings: RfmSettings,
  ended: () => boolean,
  pause?: (ms: number) => Promise<void>,
): Promise<RfmCutPoints | undefined> {
  const population = new Population();
  const walked = await walk(
    states,
    ended,
    (customerId, state, now) => {
      const rfm = rfmOf(orderFigures(state.facts), settings, now);
      if (rfm !== undefined) population.add(customerId, rfm);
    },
    pause,
  );
  return cutPointsOf(settings, population, walked);
}
