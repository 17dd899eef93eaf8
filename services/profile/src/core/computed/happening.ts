import { type Event, EventType, type Line } from '#gen/recur/log/v1/event.ts';
import { countedName, type ShopZone } from '#lib/facts/facts.ts';
import { type Scalar, scalarsOf } from './value-test.ts';

/** An event as computed traits see it, whether it comes from the log or from history. */
export interface Happening {
  /** Name it is counted under. */
  readonly name: string;
  readonly timeMs: number;
  readonly source: string;
  /** Present when it is about products or money. */
  readonly commerce: HappeningCommerce | undefined;
  /** The scalars at a path of the other properties. */
  property(path: string): readonly Scalar[];
}

export interface HappeningCommerce {
  readonly orderId: string;
  readonly amountMicros: number;
  readonly currency: string;
  readonly coupon: string;
  readonly part: number;
  readonly lines: readonly Line[];
}

const DAY_MS = 86_400_000;
const NONE: readonly Scalar[] = [];

/** @param now the log's time at the event: one dated more than a day after it counts as of now */
export function happeningOf(event: Event, now: number): Happening {
  let properties: unknown;
  return {
    name: countedName(event),
    timeMs: event.timeMs > now + DAY_MS ? now : Math.max(event.timeMs, 0),
    source: event.source,
    commerce: event.type === EventType.EVENT_TYPE_TRACK ? event.commerce : undefined,
    property: (path) => {
      properties ??= parsed(event.propertiesJson);
      return scalarsAt(properties, path.split('.'));
    },
  };
}

function parsed(json: Uint8Array): unknown {
  if (json.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8'));
  } catch {
    return {};
  }
}

function scalarsAt(json: unknown, path: readonly string[]): readonly Scalar[] {
  let at = json;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return NONE;
    at = (at as Record<string, unknown>)[key];
  }
  return scalarsOf(at);
}

/** What a definition may name besides paths into the other properties. */
export const LINE_PROPERTIES = [
  'products.product_id',
  'products.name',
  'products.category',
  'products.quantity',
  'products.price',
] as const;
const COMMERCE_PROPERTIES = ['amount', 'order_id', 'currency', 'coupon'] as const;
const DERIVED_PROPERTIES = ['$source', '$hour', '$weekday'] as const;

export const isLineProperty = (name: string): boolean => (LINE_PROPERTIES as readonly string[]).includes(name);
const isDerived = (name: string): boolean => (DERIVED_PROPERTIES as readonly string[]).includes(name);

/** Whether it is a path into the other properties. */
export const isPath = (name: string): boolean =>
  !(isLineProperty(name) || isDerived(name) || (COMMERCE_PROPERTIES as readonly string[]).includes(name));

/** What a name that begins with "$" or "products." may be, when it is not known. */
export function knownNames(name: string): string | undefined {
  if (name.startsWith('$') && !isDerived(name)) return DERIVED_PROPERTIES.join(', ');
  return undefined;
}

/** Reads one property; of product lines only those at `lines` (all: undefined). */
export type ReadProperty = (of: Happening, lines: readonly Line[] | undefined) => readonly Scalar[];

export function propertyReader(name: string, zone: ShopZone): ReadProperty {
  if (isLineProperty(name)) {
    const read = lineReader(name);
    return ({ commerce }, lines) => (lines ?? commerce?.lines ?? []).flatMap((line) => read(line));
  }
  switch (name) {
    case 'amount':
      return ({ commerce }) => (commerce === undefined ? NONE : [commerce.amountMicros / 1e6]);
    case 'order_id':
      return ({ commerce }) => scalarsOf(commerce?.orderId);
    case 'currency':
      return ({ commerce }) => scalarsOf(commerce?.currency);
    case 'coupon':
      return ({ commerce }) => scalarsOf(commerce?.coupon);
    case '$source':
      return ({ source }) => scalarsOf(source);
    case '$hour':
      return ({ timeMs }) => [Math.min(23, Math.floor((timeMs - zone.startOfDay(zone.dayOf(timeMs))) / 3_600_000))];
    case '$weekday':
      // 1970-01-01 was a Thursday.
      return ({ timeMs }) => [((((zone.dayOf(timeMs) + 3) % 7) + 7) % 7) + 1];
    default:
      return (of) => of.property(name);
  }
}

/** One property of one product line. */
export function lineReader(name: string): (line: Line) => readonly Scalar[] {
  switch (name) {
    case 'products.product_id':
      return (line) => scalarsOf(line.productId);
    case 'products.name':
      return (line) => scalarsOf(line.name);
    case 'products.category':
      return (line) => scalarsOf(line.category);
    case 'products.quantity':
      return (line) => [line.quantity];
    default:
      return (line) => [line.priceMicros / 1e6];
  }
}
