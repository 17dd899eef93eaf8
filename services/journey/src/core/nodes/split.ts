import type { Split } from '#gen/recur/journey/v1/journey.ts';
import { armOf } from '../assignment.ts';
import { experimentOf } from '../compile.ts';
import type { Outcome, Place } from './outcome.ts';

/** Every arm is recorded as an exposure at the same point, so that the arms stay comparable. */
export function arriveAtSplit(nodeId: string, split: Split, { run, journey, enrolment }: Place): Outcome {
  const experimentId = experimentOf(journey.id, nodeId, split.experimentId);
  const arm = armOf(run.state, experimentId, split.variants, run.customerId, run.now);
  const variant = split.variants.find(({ id }) => id === arm);
  if (variant === undefined) return { is: 'leave', reason: 'no_variant' };
  enrolment.variant = arm;
  return {
    is: 'go',
    next: variant.next,
    branch: arm,
    exposure: {
      experimentId,
      variant: arm,
      holdOut: variant.holdOut,
      enrolmentId: enrolment.enrolmentId,
      journeyId: journey.id,
      nodeId,
    },
  };
}
