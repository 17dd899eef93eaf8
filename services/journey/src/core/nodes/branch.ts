import type { Branch, BranchCondition } from '#gen/recur/journey/v1/journey.ts';
import { holds } from '../event/condition.ts';
import { type Properties, propertyAt } from '../event/properties.ts';
import { readTrigger } from '../trigger.ts';
import type { Outcome, Place } from './outcome.ts';

const OTHERWISE = 'otherwise';

export function arriveAtBranch(branch: Branch, place: Place): Outcome {
  const { state } = place.run;
  const trigger = triggerProperties(place);
  const way = branch.ways.find((candidate) =>
    candidate.conditions.every((condition) => isTrue(condition, state.segments, trigger)),
  );
  if (way === undefined) return { is: 'go', next: branch.otherwise, branch: OTHERWISE };
  return { is: 'go', next: way.next, branch: way.id, reason: explain(way.conditions, trigger) };
}

/** Of the event that let the customer in; undefined when no event did. */
function triggerProperties({ enrolment }: Place): Properties | undefined {
  return readTrigger(enrolment.triggerJson).properties;
}

function isTrue({ kind }: BranchCondition, segments: readonly string[], trigger: Properties | undefined): boolean {
  switch (kind?.$case) {
    case 'inSegment':
      return segments.includes(kind.value);
    case 'notInSegment':
      return !segments.includes(kind.value);
    case 'trigger':
      return trigger !== undefined && holds(kind.value, trigger);
    default:
      return false;
  }
}

/** The conditions that held, with the values they saw, short. */
function explain(conditions: readonly BranchCondition[], trigger: Properties | undefined): string {
  const parts = conditions.map(({ kind }) => {
    if (kind?.$case === 'inSegment') return `in ${kind.value}`;
    if (kind?.$case === 'notInSegment') return `not in ${kind.value}`;
    if (kind?.$case !== 'trigger') return '';
    return `${kind.value.property} was ${JSON.stringify(propertyAt(trigger ?? {}, kind.value.property) ?? null).slice(0, 60)}`;
  });
  return parts.join(', ').slice(0, 200);
}
