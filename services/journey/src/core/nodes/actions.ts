import type { EmitEvent, UpdateTraits } from '#gen/recur/journey/v1/journey.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { SOURCE } from '../event/seen.ts';
import { stableId } from '../hash.ts';
import type { Outcome, Place } from './outcome.ts';

/** Journeys one after another, each let in by the event of the one before: beyond this many they only chase each other. */
export const MAX_HOPS = 5;

export function arriveAtUpdateTraits(nodeId: string, { traits, next }: UpdateTraits, place: Place): Outcome {
  const changed = Object.entries(traits ?? {});
  const event = eventOf(nodeId, place, EventType.EVENT_TYPE_DERIVED, {
    traits: changed.map(([name, value]) => ({ name, json: json(value), sealed: NONE })),
  });
  return { is: 'go', next, derived: event, reason: `set ${changed.map(([name]) => name).join(', ')}`.slice(0, 200) };
}

export function arriveAtEmitEvent(nodeId: string, { name, properties, next }: EmitEvent, place: Place): Outcome {
  const { hops } = place.enrolment;
  if (hops >= MAX_HOPS) return { is: 'go', next, reason: 'too_many_hops' };
  const event = eventOf(nodeId, place, EventType.EVENT_TYPE_TRACK, {
    name,
    propertiesJson: json(properties ?? {}),
    contextJson: json({ hops: hops + 1 }),
  });
  return { is: 'go', next, derived: event, reason: `emitted ${name}`.slice(0, 200) };
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

const NONE = Buffer.alloc(0);

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
