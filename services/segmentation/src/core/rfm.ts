import { MonetaryBasis, RfmMethod, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { RfmClass, RfmScores } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { OrderFigures } from '#lib/facts/facts.ts';
import { binsOf, isCut } from './cut-points.ts';
import { DAY_MS, daysInMs } from './figures.ts';
import type { Rfm } from './population.ts';

const named = (id: string, rfm: string, englishName: string, chineseName: string): RfmClass => ({
  id,
  englishName,
  chineseName,
  recencyHigh: rfm[0] === '1',
  frequencyHigh: rfm[1] === '1',
  monetaryHigh: rfm[2] === '1',
});

/** In the order R, F, M read as a binary number: 000 first, 111 last. */
export const RFM_CLASSES: readonly RfmClass[] = [
  named('lost', '000', 'Lost', '流失'),
  named('important_win_back', '001', 'Important, to win back', '重要挽留'),
  named('general_keep', '010', 'General, to keep', '一般保持'),
  named('important_keep', '011', 'Important, to keep', '重要保持'),
  named('general_develop', '100', 'General, to develop', '一般发展'),
  named('important_develop', '101', 'Important, to develop', '重要发展'),
  named('general_value', '110', 'General, of value', '一般价值'),
  named('important_value', '111', 'Important, of value', '重要价值'),
];

/** Recent within 90 days, more than one order, more than 1,000 spent net. */
export const DEFAULT_RFM: RfmSettings = RfmSettings.fromPartial({
  recencyDays: 90,
  frequency: 1,
  monetaryMicros: 1_000_000_000,
  monetaryBasis: MonetaryBasis.MONETARY_BASIS_NET,
});

/** Undefined without an order. */
export function rfmOf(figures: OrderFigures, settings: RfmSettings, now: number): Rfm | undefined {
  if (figures.kept < 1 || figures.lastMs === undefined) return undefined;
  const gross = settings.monetaryBasis === MonetaryBasis.MONETARY_BASIS_GROSS;
  return {
    recencyDays: (now - figures.lastMs) / DAY_MS,
    frequency: figures.kept,
    monetaryMicros: gross ? figures.grossMicros : figures.netMicros,
  };
}

/** The class of a customer with these figures; undefined without an order. */
export function rfmClass(figures: OrderFigures, settings: RfmSettings, now: number): RfmClass | undefined {
  const rfm = rfmOf(figures, settings, now);
  return rfm && classOf(rfm, settings);
}

/** @param settings as they are in force (cut-points.ts) */
export function classOf({ recencyDays, frequency, monetaryMicros }: Rfm, settings: RfmSettings): RfmClass {
  const recent = daysInMs(recencyDays) <= daysInMs(settings.recencyDays);
  const frequent = frequency > settings.frequency;
  const rich = monetaryMicros > settings.monetaryMicros;
  return RFM_CLASSES[(recent ? 4 : 0) + (frequent ? 2 : 0) + (rich ? 1 : 0)] as RfmClass;
}

/** Each figure, with its score; undefined without an order. `settings` as they are in force. */
export function rfmScores(figures: OrderFigures, settings: RfmSettings, now: number): RfmScores | undefined {
  const rfm = rfmOf(figures, settings, now);
  if (rfm === undefined || figures.lastMs === undefined) return undefined;
  const elapsed = now - figures.lastMs;
  const { recencyDays, frequency, monetaryMicros } = cutsOf(settings);
  return {
    ...rfm,
    recencyScore: 1 + recencyDays.filter((cut) => elapsed <= daysInMs(cut)).length,
    frequencyScore: 1 + frequency.filter((cut) => rfm.frequency > cut).length,
    monetaryScore: 1 + monetaryMicros.filter((cut) => rfm.monetaryMicros > cut).length,
    settings,
  };
}

function cutsOf({ cutPoints, recencyDays, frequency, monetaryMicros, ...settings }: RfmSettings) {
  if (cutPoints !== undefined && isCut(settings as RfmSettings)) return cutPoints;
  return { recencyDays: [recencyDays], frequency: [frequency], monetaryMicros: [monetaryMicros] };
}

/** Why, in one line: each figure, how it compares, and its threshold; and where that comes from. */
export function rfmReason(figures: OrderFigures, settings: RfmSettings, now: number): string {
  const scores = rfmScores(figures, settings, now);
  if (scores === undefined || figures.lastMs === undefined) return 'no order that was kept';
  const recent = now - figures.lastMs <= daysInMs(settings.recencyDays) ? '<=' : '>';
  const frequent = scores.frequency > settings.frequency ? '>' : '<=';
  const rich = scores.monetaryMicros > settings.monetaryMicros ? '>' : '<=';
  const basis = settings.monetaryBasis === MonetaryBasis.MONETARY_BASIS_GROSS ? 'gross' : 'net';
  return (
    `R ${days(scores.recencyDays)} d ${recent} ${days(settings.recencyDays)}, ` +
    `F ${scores.frequency} ${frequent} ${number(settings.frequency)}, ` +
    `M ${money(scores.monetaryMicros)} ${rich} ${money(settings.monetaryMicros)} (${basis})${origin(scores, settings)}`
  );
}

function origin({ recencyScore, frequencyScore, monetaryScore }: RfmScores, settings: RfmSettings): string {
  const { cutPoints, method, revision } = settings;
  if (!isCut(settings)) return '';
  if (cutPoints === undefined) return ', no cut points yet';
  const from = `of ${cutPoints.customers} customers, revision ${revision}`;
  if (method === RfmMethod.RFM_METHOD_MEANS) return `, means ${from}`;
  const scores = `${recencyScore} ${frequencyScore} ${monetaryScore}`;
  return `, scores ${scores} of ${binsOf(settings)}, quantiles ${from}`;
}

/** When time alone changes the class; Infinity: never. */
export function rfmNext(figures: OrderFigures, settings: RfmSettings, now: number): number {
  if (figures.lastMs === undefined) return Number.POSITIVE_INFINITY;
  const due = figures.lastMs + daysInMs(settings.recencyDays) + 1;
  return due > now ? due : Number.POSITIVE_INFINITY;
}

export const days = (value: number): string => String(Math.round(value * 100) / 100);
const number = (value: number): string => String(Math.round(value * 10_000) / 10_000);
const money = (micros: number): string => (micros / 1e6).toFixed(2);
