import type { CategoryStats, EventStats, TraitValue } from '#gen/recur/facts/v1/facts.ts';
import {
  type CategoryInterest,
  type EventActivity,
  type Orders,
  Profile,
  type ProfileTrait,
  type Window,
} from '#gen/recur/profile/v1/profile.ts';
import {
  averageOrder,
  eventAmount,
  eventCount,
  type Facts,
  orderFigures,
  type ShopZone,
  topCategory,
} from '#lib/facts/facts.ts';
import { completenessOf } from './completeness.ts';
import { computedTraitsOf, type DefinitionsView, tagsOf } from './computed-view.ts';
import type { OwnField } from './read-mask.ts';
import type { ProfileState } from './state.ts';

/** Windows every event is counted in, days. */
const WINDOWS = [7, 30, 90, 365] as const;

export interface View {
  readonly fields: ReadonlySet<OwnField>;
  /** The moment windows end at, milliseconds since 1970. */
  readonly now: number;
  readonly zone: ShopZone;
  readonly definitions: DefinitionsView;
  /** Opens a sealed value to JSON text; undefined when it cannot or may not. */
  readonly open: (sealed: Uint8Array) => string | undefined;
}

/** The profile as it is told: of the state, the fields asked for. */
export function profileOf(customerId: string, state: ProfileState, view: View): Profile {
  const profile: Profile = { ...EMPTY, customerId };
  const { fields, definitions, now } = view;
  const { facts } = state;
  if (fields.has('first_seen_ms')) profile.firstSeenMs = facts.firstSeenMs;
  if (fields.has('last_seen_ms')) profile.lastSeenMs = facts.lastSeenMs;
  if (fields.has('identified')) profile.identified = facts.identified;
  if (fields.has('identifiers')) profile.identifiers = facts.identifiers;
  if (fields.has('sources')) profile.sources = facts.sources;
  if (fields.has('traits')) profile.traits = traitsOf(facts, view);
  if (fields.has('events')) profile.events = eventsOf(facts, view);
  if (fields.has('orders')) profile.orders = ordersOf(facts);
  if (fields.has('categories')) profile.categories = categoriesOf(facts);
  if (fields.has('top_category')) profile.topCategory = topCategory(facts);
  if (fields.has('computed_traits')) profile.computedTraits = computedTraitsOf(state, definitions, now);
  if (fields.has('tags')) profile.tags = tagsOf(state, definitions);
  if (fields.has('completeness')) profile.completeness = completenessOf(facts, definitions.completeness);
  return profile;
}

const EMPTY = Profile.fromPartial({});

function traitsOf(facts: Facts, view: View): ProfileTrait[] {
  return facts.traits
    .filter((trait) => trait.json !== 'null')
    .map((trait) => traitOf(trait, view))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function traitOf(trait: TraitValue, view: View): ProfileTrait {
  const { name, timeMs, sealed } = trait;
  if (sealed.length === 0) return { name, valueJson: trait.json, personal: false, masked: false, timeMs };
  const opened = view.open(sealed);
  return { name, valueJson: opened ?? '', personal: true, masked: opened === undefined, timeMs };
}

function eventsOf(facts: Facts, view: View): EventActivity[] {
  return [...facts.events].sort((a, b) => b.lastMs - a.lastMs).map((stats) => activityOf(facts, stats, view));
}

function activityOf(facts: Facts, stats: EventStats, { now, zone }: View): EventActivity {
  const windows: Window[] = WINDOWS.map((days) => ({
    days,
    count: eventCount(facts, stats.name, days, now, zone),
    amountMicros: eventAmount(facts, stats.name, days, now, zone),
  }));
  const { name, count, amountMicros, firstMs, lastMs } = stats;
  return { name, count, amountMicros, firstMs, lastMs, windows };
}

function ordersOf(facts: Facts): Orders {
  const figures = orderFigures(facts);
  return {
    placed: figures.placed,
    refunded: figures.refundedOrders,
    kept: figures.kept,
    grossMicros: figures.grossMicros,
    refundedMicros: figures.refundedMicros,
    netMicros: figures.netMicros,
    firstMs: figures.firstMs ?? 0,
    lastMs: figures.lastMs ?? 0,
    averageMicros: averageOrder(figures) ?? 0,
    currency: facts.orders?.currency ?? '',
  };
}

function categoriesOf(facts: Facts): CategoryInterest[] {
  const order = (a: CategoryStats, b: CategoryStats) =>
    b.amountMicros - a.amountMicros || b.bought - a.bought || b.viewed - a.viewed || (a.name < b.name ? -1 : 1);
  return [...facts.categories]
    .sort(order)
    .map(({ name, bought, viewed, amountMicros }) => ({ name, bought, viewed, amountMicros }));
}
