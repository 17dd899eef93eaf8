import type { Facts } from '#gen/recur/facts/v1/facts.ts';
import { Aggregation } from '#gen/recur/profile/v1/computed_trait.ts';
import { type Cell, emptyCell, followed, join, mostFrequentFirst, newestFirst } from './cell.ts';
import type { CompiledTrait } from './compile.ts';
import { counted, type Kept } from './kept.ts';

/** The value of a computed trait: a JSON value, or for days_since the moment it counts from. Undefined: there is none. */
export type Figure =
  | { readonly value: unknown; readonly sinceMs?: undefined }
  | { readonly sinceMs: number; readonly value?: undefined };

export const NEVER = Number.POSITIVE_INFINITY;
const DAY_MS = 86_400_000;

/** What the trait is worth at a moment. */
export function figureOf(trait: CompiledTrait, kept: Kept | undefined, facts: Facts, now: number): Figure | undefined {
  const total = emptyCell();
  if (kept !== undefined) {
    const { from, to } = trait.window.covered(now);
    for (const { key, cell } of counted(trait, kept, facts)) {
      if (key >= from && key <= to) join(trait.aggregation, total, cell);
    }
  }
  return figureOfCell(trait, total);
}

function figureOfCell({ aggregation, limit, withinMs }: CompiledTrait, cell: Cell): Figure | undefined {
  switch (aggregation) {
    case Aggregation.AGGREGATION_COUNT:
      return { value: cell.n };
    case Aggregation.AGGREGATION_SUM:
      return { value: cell.sum / 1e6 };
    case Aggregation.AGGREGATION_DISTINCT:
      return { value: cell.values.length };
    case Aggregation.AGGREGATION_SEQUENCE:
      return { value: followed(cell, withinMs) };
    default:
  }
  if (cell.n === 0) return undefined;
  switch (aggregation) {
    case Aggregation.AGGREGATION_AVERAGE:
      return { value: Math.round(cell.sum / cell.n) / 1e6 };
    case Aggregation.AGGREGATION_MIN:
    case Aggregation.AGGREGATION_MAX:
      return { value: cell.sum / 1e6 };
    case Aggregation.AGGREGATION_FIRST:
    case Aggregation.AGGREGATION_LAST:
      return { value: JSON.parse(cell.text) };
    case Aggregation.AGGREGATION_RATE:
      return { value: Math.round((cell.m / cell.n) * 1e6) / 1e6 };
    case Aggregation.AGGREGATION_DAYS_SINCE:
      return { sinceMs: cell.t };
    default: {
      const order = aggregation === Aggregation.AGGREGATION_TOP ? mostFrequentFirst : newestFirst;
      return {
        value: [...cell.values]
          .sort(order)
          .slice(0, limit)
          .map(({ text }) => JSON.parse(text)),
      };
    }
  }
}

/** JSON text; empty when there is no value. What counts from a moment is that moment, which does not change by itself. */
export function figureText(figure: Figure | undefined): string {
  if (figure === undefined) return '';
  return figure.sinceMs === undefined ? JSON.stringify(figure.value) : String(figure.sinceMs);
}

/** As it is told to people at a moment: days instead of the moment they count from. */
export function figureJson(figure: Figure | undefined, now: number): string {
  if (figure?.sinceMs === undefined) return figureText(figure);
  return JSON.stringify(Math.round(((now - figure.sinceMs) / DAY_MS) * 1e6) / 1e6);
}

/** The next moment after `now` at which the figure may change by time alone. */
export function nextChange(trait: CompiledTrait, kept: Kept, facts: Facts, now: number): number {
  const { window } = trait;
  let next = NEVER;
  for (const { key } of counted(trait, kept, facts)) {
    const enters = window.entersAt(key);
    const at = enters > now ? enters : (window.leavesAt(key) ?? NEVER);
    if (at > now && at < next) next = at;
  }
  return next;
}
