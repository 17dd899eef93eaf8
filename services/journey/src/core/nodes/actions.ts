import type { EmitEvent, UpdateTraits } from '#gen/recur/journey/v1/journey.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { isTraitValue, MAX_BYTES } from '../definition/validate-actions.ts';
import { SOURCE } from '../event/seen.ts';
import { plainValue } from '../expression/expression.ts';
import { Facts } from '../expression/facts.ts';
import { stableId } from '../hash.ts';
import type { Outcome, Place } from './outcome.ts';

/** Journeys one after another, each let in by the event of the one before: beyond this many they only chase each other. */
export const MAX_HOPS = 5;

export function arriveAtUpdateTraits(nodeId: string, node: UpdateTraits, place: Place): Outcome {
  const { traits, expressions, next } = node;
  const worked = workOut(expressions, traits ?? {}, isTraitValue, place);
  const changed = Object.entries(worked);
  if (changed.length === 0) return { is: 'go', next, reason: 'set nothing' };
  const event = eventOf(nodeId, place, EventType.EVENT_TYPE_DERIVED, {
    traits: changed.map(([name, value]) => ({ name, json: json(value), sealed: NONE })),
  });
  return { is: 'go', next, derived: event, reason: `set ${changed.map(([name]) => name).join(', ')}`.slice(0, 200) };
}

export function arriveAtEmitEvent(nodeId: string, node: EmitEvent, place: Place): Outcome {
  const { name, next } = node;
  const { hops } = place.enrolment;
  if (hops >= MAX_HOPS) return { is: 'go', next, reason: 'too_many_hops' };
  const event = eventOf(nodeId, place, EventType.EVENT_TYPE_TRACK, {
    name,
    propertiesJson: json(workOut(node.expressions, node.properties ?? {}, () => true, place)),
    contextJson: json({ hops: hops + 1 }),
  });
  return { is: 'go', next, derived: event, reason: `emitted ${name}`.slice(0, 200) };
}

/** What is given and what expressions add to it, as far as it fits. One that fails adds nothing; the step names the last one's reason. */
function workOut(
  expressions: Readonly<Record<string, string>>,
  given: Readonly<Record<string, unknown>>,
  allows: (value: unknown) => boolean,
  { run, version, enrolment }: Place,
): Record<string, unknown> {
  const facts = new Facts(run, { enrolment });
  const values: Record<string, unknown> = { ...given };
  for (const name of Object.keys(expressions).sort()) {
    const result = version.expressions.get(expressions[name] ?? '')?.evaluate(facts) ?? { failure: 'is not known' };
    const value = 'value' in result ? plainValue(result.value) : undefined;
    const fits = value !== undefined && allows(value) && json({ ...values, [name]: value }).length <= MAX_BYTES;
    if (fits) values[name] = value;
    else enrolment.expressionFailure = `${name}: ${'failure' in result ? result.failure : NO_VALUE}`.slice(0, 200);
  }
  return values;
}

/** By the step as well as the node: in a loop it is said again, after a crash it is the same message. */
function eventOf(nodeId: string, { run, enrolment }: Place, type: EventType, said: Partial<Event>): Event {
  return Event.fromPartial({
    messageId: `journey/${stableId(enrolment.enrolmentId, nodeId, enrolment.steps)}`,
    type,
    timeMs: run.now,
    receivedAtMs: run.now,
    source: SOURCE,
    identifiers: [{ type: '$customer', hash: Buffer.from(run.customerId) }],
    ...said,
  });
}

const NO_VALUE = 'gives what cannot be set, or too much of it';

const NONE = Buffer.alloc(0);

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
