import type { Variant } from '#gen/recur/journey/v1/journey.ts';
import type { Assignment, JourneyState } from '#gen/recur/journey/v1/state.ts';
import { share } from './hash.ts';

/**
 * The customer's arm of an experiment. Drawn once from experiment and customer id, then kept: it outlives changed weights
 * and merges. Drawn again only when the arm no longer exists.
 */
export function armOf(
  state: JourneyState,
  experimentId: string,
  variants: readonly Pick<Variant, 'id' | 'weight'>[],
  customerId: string,
  now: number,
): string {
  const known = state.assignments.find((assignment) => assignment.experimentId === experimentId);
  if (known !== undefined && variants.some(({ id }) => id === known.variant)) return known.variant;
  const variant = draw(variants, share(experimentId, customerId));
  if (known !== undefined) known.variant = variant;
  else state.assignments.push({ experimentId, variant, assignedMs: now });
  return variant;
}

function draw(variants: readonly Pick<Variant, 'id' | 'weight'>[], u: number): string {
  const point = u * variants.reduce((sum, { weight }) => sum + weight, 0);
  let below = 0;
  for (const { id, weight } of variants) {
    below += weight;
    if (point < below) return id;
  }
  // Rounding at the very end of the scale.
  return variants.findLast(({ weight }) => weight > 0)?.id ?? '';
}

/**
 * One arm per experiment of two customers who turned out to be one: that of `preferred` where it is given, else the one
 * assigned first.
 */
export function mergeArms(
  own: readonly Assignment[],
  other: readonly Assignment[],
  preferred: (experimentId: string) => 'own' | 'other' | undefined,
): Assignment[] {
  const merged = new Map(own.map((assignment) => [assignment.experimentId, assignment]));
  for (const theirs of other) {
    const ours = merged.get(theirs.experimentId);
    const choice = preferred(theirs.experimentId) ?? (ours && ours.assignedMs <= theirs.assignedMs ? 'own' : 'other');
    if (ours === undefined || choice === 'other') merged.set(theirs.experimentId, theirs);
  }
  return [...merged.values()];
}
