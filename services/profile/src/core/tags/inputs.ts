import { Temporal } from 'temporal-polyfill';
import { ProfileFigure, type TagInput } from '#gen/recur/profile/v1/tag.ts';
import {
  averageOrder,
  type Facts,
  type OrderFigures,
  orderFigures,
  type ShopZone,
  topCategory,
  traitValue,
} from '#lib/facts/facts.ts';
import type { Figure } from '../computed/figure.ts';
import { type Scalar, scalarsOf } from '../computed/value-test.ts';

/** What tag rules may ask about a customer at a moment. */
export class TagView {
  readonly zone: ShopZone;
  readonly facts: Facts;
  readonly now: number;
  /** Value of a computed trait; undefined when there is none, or its history is not complete. */
  readonly figure: (traitId: string) => Figure | undefined;
  #orders: OrderFigures | undefined;

  constructor(zone: ShopZone, facts: Facts, now: number, figure: (traitId: string) => Figure | undefined) {
    this.zone = zone;
    this.facts = facts;
    this.now = now;
    this.figure = figure;
  }

  get orders(): OrderFigures {
    this.#orders ??= orderFigures(this.facts);
    return this.#orders;
  }
}

/** What an input is: values, or a moment from which days are counted. */
export interface Reading {
  readonly values: readonly Scalar[];
  readonly sinceMs?: number;
  /** The next moment at which `values` change by time alone. */
  readonly nextMs?: number;
}

/** What must change for the input to change: tags are asked again for these keys only. */
export type InputKey = string;

export interface CompiledInput {
  readonly keys: readonly InputKey[];
  read(view: TagView): Reading;
}

export const traitKey = (name: string): InputKey => `trait:${name}`;
export const computedKey = (id: string): InputKey => `computed:${id}`;
export const ORDERS: InputKey = 'orders';
export const SEEN: InputKey = 'seen';
export const CATEGORIES: InputKey = 'categories';
export const IDENTITY: InputKey = 'identity';
export const CHANNELS: InputKey = 'channels';

const UNKNOWN: Reading = { values: [] };
const one = (value: Scalar | undefined): Reading => (value === undefined ? UNKNOWN : { values: [value] });
const since = (ms: number | undefined): Reading =>
  ms === undefined || ms === 0 ? UNKNOWN : { values: [], sinceMs: ms };

const NOTHING: CompiledInput = { keys: [], read: () => UNKNOWN };
const FIGURES: Readonly<Partial<Record<ProfileFigure, CompiledInput>>> = {
  [ProfileFigure.PROFILE_FIGURE_ORDERS]: { keys: [ORDERS], read: ({ orders }) => one(orders.kept) },
  [ProfileFigure.PROFILE_FIGURE_NET]: { keys: [ORDERS], read: ({ orders }) => one(orders.netMicros / 1e6) },
  [ProfileFigure.PROFILE_FIGURE_AVERAGE_ORDER]: {
    keys: [ORDERS],
    read: ({ orders }) => {
      const micros = averageOrder(orders);
      return one(micros === undefined ? undefined : micros / 1e6);
    },
  },
  [ProfileFigure.PROFILE_FIGURE_DAYS_SINCE_LAST_ORDER]: { keys: [ORDERS], read: ({ orders }) => since(orders.lastMs) },
  [ProfileFigure.PROFILE_FIGURE_DAYS_SINCE_FIRST_ORDER]: {
    keys: [ORDERS],
    read: ({ orders }) => since(orders.firstMs),
  },
  [ProfileFigure.PROFILE_FIGURE_DAYS_SINCE_LAST_SEEN]: { keys: [SEEN], read: ({ facts }) => since(facts.lastSeenMs) },
  [ProfileFigure.PROFILE_FIGURE_DAYS_SINCE_FIRST_SEEN]: { keys: [SEEN], read: ({ facts }) => since(facts.firstSeenMs) },
  [ProfileFigure.PROFILE_FIGURE_TOP_CATEGORY]: {
    keys: [CATEGORIES],
    read: ({ facts }) => one(topCategory(facts) || undefined),
  },
  [ProfileFigure.PROFILE_FIGURE_IDENTIFIED]: { keys: [IDENTITY], read: ({ facts }) => one(facts.identified) },
  [ProfileFigure.PROFILE_FIGURE_CHANNELS]: { keys: [CHANNELS], read: ({ facts }) => one(facts.sources.length) },
};

export function compileInput({ from }: TagInput): CompiledInput {
  switch (from?.$case) {
    case 'trait': {
      const name = from.value;
      return { keys: [traitKey(name)], read: ({ facts }) => ({ values: scalarsOf(traitValue(facts, name)) }) };
    }
    case 'computedTrait': {
      const id = from.value;
      return { keys: [computedKey(id)], read: (view) => ofFigure(view.figure(id)) };
    }
    case 'monthsSinceTrait': {
      const name = from.value;
      return { keys: [traitKey(name)], read: (view) => monthsSince(traitValue(view.facts, name), view) };
    }
    case 'figure':
      return FIGURES[from.value] ?? NOTHING;
    default:
      return NOTHING;
  }
}

function ofFigure(figure: Figure | undefined): Reading {
  if (figure === undefined) return UNKNOWN;
  return figure.sinceMs === undefined ? { values: scalarsOf(figure.value) } : { values: [], sinceMs: figure.sinceMs };
}

/** Full months from the day of `date` to today; the next changes at a midnight. */
function monthsSince(value: unknown, { zone, now }: TagView): Reading {
  const date = dateOf(value, zone);
  if (date === undefined) return UNKNOWN;
  const epoch = Temporal.PlainDate.from('1970-01-01');
  const today = epoch.add({ days: zone.dayOf(now) });
  const months = Math.floor(date.until(today, { largestUnit: 'month' }).total({ unit: 'month', relativeTo: date }));
  let next = date.add({ months: months + 1 });
  // The 31st of a month that has none falls on its last day.
  if (Temporal.PlainDate.compare(next, today) <= 0) next = today.add({ days: 1 });
  return { values: [months], nextMs: zone.startOfDay(epoch.until(next, { largestUnit: 'day' }).days) };
}

function dateOf(value: unknown, zone: ShopZone): Temporal.PlainDate | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return Temporal.PlainDate.from(value);
    return Temporal.Instant.from(value).toZonedDateTimeISO(zone.name).toPlainDate();
  } catch {
    return undefined;
  }
}
