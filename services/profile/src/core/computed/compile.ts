import type { Line } from '#gen/recur/log/v1/event.ts';
import { Aggregation, type ComputedTrait, type PropertyCondition } from '#gen/recur/profile/v1/computed_trait.ts';
import { ORDER_COMPLETED, type ShopZone } from '#lib/facts/facts.ts';
import { type Cell, emptyCell, FIRST_SIDE, join, SECOND_SIDE } from './cell.ts';
import { type Happening, isLineProperty, isPath, lineReader, propertyReader, type ReadProperty } from './happening.ts';
import { compileTest, type Scalar } from './value-test.ts';
import { type KeyedWindow, windowOf } from './windows.ts';

/** A definition as it is worked with. It must be valid (check.ts). */
export interface CompiledTrait {
  readonly id: string;
  readonly revision: number;
  readonly basis: number;
  readonly aggregation: Aggregation;
  readonly events: readonly string[];
  readonly limit: number;
  readonly window: KeyedWindow;
  /** Orders count into it: they are kept one by one, so that they can be taken out again. */
  readonly ofOrders: boolean;
  /** Its values are the amounts, from which refunds are taken. */
  readonly ofAmounts: boolean;
  /** It counts events, not values of a property. */
  readonly ofEvents: boolean;
  /** sequence: at most so long after, ms. */
  readonly withinMs: number;
  /** What one event adds; undefined: nothing. */
  cellOf(event: Happening): Cell | undefined;
  /** What history must tell besides names and times. */
  readonly needs: { readonly lines: boolean; readonly paths: readonly string[] };
}

export const DEFAULT_LIMIT = 5;
const MAX_TEXT = 200;
/** Numbers beyond are left out, units. */
const MAX_NUMBER = 4e9;

export function compileTrait(trait: ComputedTrait, zone: ShopZone): CompiledTrait {
  const { id, revision, aggregation, property, where, share, followedBy } = trait;
  const events = [...new Set([...trait.events, ...followedBy])];
  const names = [property, ...where.map((one) => one.property), ...share.map((one) => one.property)];
  const selects = compileConditions(where, zone);
  const counts = aggregation === Aggregation.AGGREGATION_RATE ? compileConditions(share, zone) : undefined;
  const read = property === '' ? undefined : propertyReader(property, zone);
  return {
    id,
    revision,
    basis: trait.basis || revision,
    aggregation,
    events,
    limit: trait.limit || DEFAULT_LIMIT,
    window: windowOf(trait, zone),
    ofOrders: events.includes(ORDER_COMPLETED),
    ofAmounts: property === 'amount' && NUMERIC.has(aggregation),
    ofEvents: property === '',
    withinMs: trait.withinMs,
    needs: {
      lines: names.some(isLineProperty),
      paths: [...new Set(names.filter((name) => name !== '' && isPath(name)))],
    },
    cellOf: (event) => {
      const selected = selects(event);
      if (selected === undefined) return undefined;
      if (aggregation === Aggregation.AGGREGATION_SEQUENCE) return momentsOf(trait, event);
      if (read !== undefined) return cellOfValues(aggregation, read(event, selected.lines), event.timeMs);
      const m = counts?.(event) === undefined ? 0 : 1;
      return { ...emptyCell(), n: 1, m, t: event.timeMs };
    },
  };
}

/** A moment for each side of a sequence the event is on. */
function momentsOf({ events, followedBy }: ComputedTrait, { name, timeMs: t }: Happening): Cell {
  const sides = [...(events.includes(name) ? [FIRST_SIDE] : []), ...(followedBy.includes(name) ? [SECOND_SIDE] : [])];
  return { ...emptyCell(), n: 1, t, values: sides.map((side) => ({ text: `${side}${t}`, n: 1, t })) };
}

const NUMERIC: ReadonlySet<Aggregation> = new Set([
  Aggregation.AGGREGATION_SUM,
  Aggregation.AGGREGATION_AVERAGE,
  Aggregation.AGGREGATION_MIN,
  Aggregation.AGGREGATION_MAX,
]);

function cellOfValues(aggregation: Aggregation, values: readonly Scalar[], t: number): Cell | undefined {
  const cell = emptyCell();
  for (const value of values) {
    if (NUMERIC.has(aggregation)) {
      if (typeof value !== 'number' || Math.abs(value) > MAX_NUMBER) continue;
      join(aggregation, cell, { ...emptyCell(), n: 1, sum: Math.round(value * 1e6) });
      continue;
    }
    const text = JSON.stringify(value);
    if (text.length > MAX_TEXT) continue;
    const keepsOne = aggregation === Aggregation.AGGREGATION_FIRST || aggregation === Aggregation.AGGREGATION_LAST;
    join(aggregation, cell, { ...emptyCell(), n: 1, t, ...(keepsOne ? { text } : { values: [{ text, n: 1, t }] }) });
  }
  return cell.n === 0 ? undefined : cell;
}

/** Which product lines an event is selected by; undefined lines: no condition is about products. */
type Select = (event: Happening) => { readonly lines: readonly Line[] | undefined } | undefined;

const WHOLE = { lines: undefined };

function compileConditions(conditions: readonly PropertyCondition[], zone: ShopZone): Select {
  const ofEvent = conditions
    .filter(({ property }) => !isLineProperty(property))
    .map((one) => ({
      read: propertyReader(one.property, zone) as ReadProperty,
      passes: compileTest(one),
    }));
  const ofLine = conditions
    .filter(({ property }) => isLineProperty(property))
    .map((one) => ({
      read: lineReader(one.property),
      passes: compileTest(one),
    }));
  return (event) => {
    for (const { read, passes } of ofEvent) if (!passes(read(event, undefined))) return undefined;
    if (ofLine.length === 0) return WHOLE;
    const lines = (event.commerce?.lines ?? []).filter((line) =>
      ofLine.every(({ read, passes }) => passes(read(line))),
    );
    return lines.length === 0 ? undefined : { lines };
  };
}
