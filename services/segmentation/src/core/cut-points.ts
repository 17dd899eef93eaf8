import { type RfmCutPoints, RfmMethod, type RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { quantiles } from './distribution.ts';
import { DAY_MS } from './figures.ts';
import type { Population, Rfm } from './population.ts';

const DEFAULT_BINS = 5;
const DEFAULT_REFRESH_MINUTES = 60;

/** Whether the settings are cut by the shop's customers. */
export const isCut = ({ method }: RfmSettings): boolean =>
  method === RfmMethod.RFM_METHOD_QUANTILES || method === RfmMethod.RFM_METHOD_MEANS;

export const binsOf = ({ bins }: RfmSettings): number => bins || DEFAULT_BINS;
const highScoreOf = (settings: RfmSettings): number => settings.highScore || Math.max(2, binsOf(settings) - 1);
export const refreshMs = ({ refreshMinutes }: RfmSettings): number =>
  (refreshMinutes || DEFAULT_REFRESH_MINUTES) * 60_000;

/** The smallest steps of the figures, in their units: milliseconds, orders, millionths. */
const STEPS: Readonly<Record<keyof Rfm, { readonly perUnit: number; readonly unit: number }>> = {
  recencyDays: { perUnit: DAY_MS, unit: 1 },
  frequency: { perUnit: 1, unit: 1 },
  monetaryMicros: { perUnit: 1, unit: 1e6 },
};

/** Where these customers are cut; undefined with thresholds, and without customers. */
export function cutPointsOf(
  settings: RfmSettings,
  population: Population,
  { timeMs, complete }: { readonly timeMs: number; readonly complete: boolean },
): RfmCutPoints | undefined {
  if (!isCut(settings) || population.customers === 0) return undefined;
  const cuts = (figure: keyof Rfm): number[] => {
    if (settings.method === RfmMethod.RFM_METHOD_MEANS) return [population.mean(figure)];
    const found = quantiles(population.values(figure), binsOf(settings));
    return settings.wholeUnits ? found.map((cut) => beforeNextUnit(cut, figure)) : found;
  };
  const { customers } = population;
  const [recencyDays, frequency, monetaryMicros] = [cuts('recencyDays'), cuts('frequency'), cuts('monetaryMicros')];
  return { recencyDays, frequency, monetaryMicros, customers, timeMs, partial: !complete };
}

/** The last value below a unit beyond the quantile: "more than" it is "at least" that. */
function beforeNextUnit(quantile: number, figure: keyof Rfm): number {
  const { perUnit, unit } = STEPS[figure];
  return (Math.ceil(Math.round((quantile + unit) * perUnit * 1e3) / 1e3) - 1) / perUnit;
}

/** The settings with the thresholds that are in force: those of the cut points, once there are any. */
export function inForce(settings: RfmSettings): RfmSettings {
  const { cutPoints } = settings;
  if (!isCut(settings) || cutPoints === undefined) return settings;
  const { recencyDays, frequency, monetaryMicros } = cutPoints;
  const [parts, high] =
    settings.method === RfmMethod.RFM_METHOD_MEANS ? [2, 2] : [binsOf(settings), highScoreOf(settings)];
  return {
    ...settings,
    recencyDays: recencyDays[parts - high] ?? settings.recencyDays,
    frequency: frequency[high - 2] ?? settings.frequency,
    monetaryMicros: monetaryMicros[high - 2] ?? settings.monetaryMicros,
  };
}

/** What a cut point may move before it is stored anew: each change visits all customers. */
const TOLERANCE = 0.01;
/** Days: within an hour nothing has moved, however recent everybody is. */
const HOUR = 1 / 24;

/** Whether these cut points should take the place of those. */
export function moved(from: RfmCutPoints | undefined, to: RfmCutPoints | undefined): boolean {
  if (from === undefined || to === undefined) return from !== to;
  if (from.partial && !to.partial) return true;
  return (['recencyDays', 'frequency', 'monetaryMicros'] as const).some(
    (figure) =>
      from[figure].length !== to[figure].length ||
      from[figure].some((cut, i) => {
        const least = figure === 'recencyDays' ? HOUR : 0;
        return Math.abs(cut - (to[figure][i] as number)) > Math.max(least, TOLERANCE * Math.abs(cut));
      }),
  );
}
