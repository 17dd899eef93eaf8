import type { Branch, BranchCondition } from '#gen/recur/journey/v1/journey.ts';
import { holds } from '../event/condition.ts';
import { type Properties, propertyAt } from '../event/properties.ts';
import { Facts } from '../expression/facts.ts';
import { readTrigger } from '../trigger.ts';
import type { Outcome, Place } from './outcome.ts';

const OTHERWISE = 'otherwise';

/** An expression that fails counts as false; the step names the last one's reason. */
export function arriveAtBranch(branch: Branch, { run, version, enrolment }: Place): Outcome {
  const trigger = readTrigger(enrolment.triggerJson).properties;
  const facts = new Facts(run, { enrolment });
  const test = (text: string): boolean => {
    const { holds, failure } = version.expressions.get(text)?.test(facts) ?? { holds: false };
    if (failure !== undefined) enrolment.expressionFailure = failure;
    return holds;
  };
  const way = branch.ways.find(({ conditions }) =>
    conditions.every((condition) => isTrue(condition, run.state.segments, trigger, test)),
  );
  if (way === undefined) return { is: 'go', next: branch.otherwise, branch: OTHERWISE };
  return { is: 'go', next: way.next, branch: way.id, reason: explain(way.conditions, trigger) };
}

/** @param trigger properties of the event that let the customer in; undefined when no event did */
function isTrue(
  { kind }: BranchCondition,
  segments: readonly string[],
  trigger: Properties | undefined,
  test: (expression: string) => boolean,
): boolean {
  switch (kind?.$case) {
    case 'inSegment':
      return segments.includes(kind.value);
    case 'notInSegment':
      return !segments.includes(kind.value);
    case 'trigger':
      return trigger !== undefined && holds(kind.value, trigger);
    case 'expression':
      return test(kind.value);
    default:
      return false;
  }
}

/** The conditions that held, with the values they saw, short. */
function explain(conditions: readonly BranchCondition[], trigger: Properties | undefined): string {
  const parts = conditions.map(({ kind }) => {
    if (kind?.$case === 'inSegment') return `in ${kind.value}`;
    if (kind?.$case === 'notInSegment') return `not in ${kind.value}`;
    if (kind?.$case === 'expression') return `${kind.value.slice(0, 60)} was true`;
    if (kind?.$case !== 'trigger') return '';
    return `${kind.value.property} was ${JSON.stringify(propertyAt(trigger ?? {}, kind.value.property) ?? null).slice(0, 60)}`;
  });
  return parts.join(', ').slice(0, 200);
}
