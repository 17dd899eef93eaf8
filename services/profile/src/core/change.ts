import { ProfileChange } from '#gen/recur/log/v1/changes.ts';
import { type ChangedFacts, type Facts, orderFigures, topCategory } from '#lib/facts/facts.ts';

/** Whether what an event changed is worth a PROFILE record: traits, identity or orders, not every page view. */
export function isTelling(changed: ChangedFacts): boolean {
  return changed.traits.length > 0 || changed.orders || changed.identity;
}

/** The encoded PROFILE record of what is known after a change of these traits. */
export function encodeChange(facts: Facts, changedTraits: readonly string[], completeness: number): Uint8Array {
  const orders = orderFigures(facts);
  return ProfileChange.encode({
    changedTraits: [...changedTraits],
    firstSeenMs: facts.firstSeenMs,
    lastSeenMs: facts.lastSeenMs,
    orders: orders.kept,
    grossMicros: orders.grossMicros,
    refundedMicros: orders.refundedMicros,
    firstOrderMs: orders.firstMs ?? 0,
    lastOrderMs: orders.lastMs ?? 0,
    topCategory: topCategory(facts),
    identified: facts.identified,
    completeness,
  }).finish();
}

/** Names of traits that are not what they were in `before`. */
export function differingTraits(before: Facts | undefined, after: Facts): string[] {
  const known = new Map(before?.traits.map((trait) => [trait.name, trait]));
  return after.traits
    .filter(({ name, json, sealed }) => {
      const old = known.get(name);
      return old === undefined || old.json !== json || Buffer.compare(old.sealed, sealed) !== 0;
    })
    .map(({ name }) => name);
}
