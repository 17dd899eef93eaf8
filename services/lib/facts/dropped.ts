import type { Dropped, Facts } from '#gen/recur/facts/v1/facts.ts';

/** The counters of what the bounds cost this customer, begun when first needed. */
export function dropped(facts: Facts): Dropped {
  facts.dropped ??= { traits: 0, events: 0, categories: 0 };
  return facts.dropped;
}
