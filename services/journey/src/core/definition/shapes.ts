import { Calendar, JourneyStatus, Operator, Recurrence, ReentryRule } from '#gen/recur/journey/v1/journey.ts';

/** What a field of the file form may hold. */
export type FieldShape =
  | { readonly is: 'string' | 'number' | 'boolean' | 'value' | 'duration' | 'texts' }
  | { readonly is: 'enum'; readonly prefix: string; readonly names: readonly string[] }
  | { readonly is: 'message'; readonly shape: () => Shape }
  | { readonly is: 'list'; readonly of: FieldShape; readonly max: number };

export type Shape = Readonly<Record<string, FieldShape>>;

const text: FieldShape = { is: 'string' };
const number: FieldShape = { is: 'number' };
const boolean: FieldShape = { is: 'boolean' };
/** A mapping of names to strings. */
const texts: FieldShape = { is: 'texts' };
/** A number is taken as milliseconds. */
const duration: FieldShape = { is: 'duration' };
const message = (shape: () => Shape): FieldShape => ({ is: 'message', shape });
const list = (of: FieldShape, max: number): FieldShape => ({ is: 'list', of, max });

function enumeration(prefix: string, members: Record<string, unknown>): FieldShape {
  const names = Object.keys(members).filter((name) => name.startsWith(prefix) && name !== `${prefix}UNSPECIFIED`);
  return { is: 'enum', prefix, names };
}

const PROPERTY_CONDITION: Shape = {
  property: text,
  op: enumeration('OPERATOR_', Operator),
  value: { is: 'value' },
  trigger_property: text,
};
const EVENT_MATCH: Shape = {
  name: text,
  where: list(
    message(() => PROPERTY_CONDITION),
    20,
  ),
  expression: text,
};
const CLASS_TRANSITION: Shape = { dimension: text, from: text, to: text };
const TRAIT_DATE: Shape = {
  trait: text,
  offset_days: number,
  at: text,
  recurrence: enumeration('RECURRENCE_', Recurrence),
  calendar: enumeration('CALENDAR_', Calendar),
};
const FESTIVAL: Shape = { name: text, offset_days: number, at: text };
const SCHEDULE: Shape = { cron: text, festival: message(() => FESTIVAL), segment_id: text };
const LIVE_ROOM: Shape = { room_id: text, segment_id: text };
export const TRIGGER: Shape = {
  event: message(() => EVENT_MATCH),
  segment_entered: text,
  segment_exited: text,
  class_changed: message(() => CLASS_TRANSITION),
  api: message(() => ({})),
  date: message(() => TRAIT_DATE),
  schedule: message(() => SCHEDULE),
  live_room: message(() => LIVE_ROOM),
};

const OPENING: Shape = { opens: text, closes: text, days: list(text, 7) };
export const WAIT: Shape = {
  duration,
  until_local_time: text,
  until_open: message(() => OPENING),
  until_date: message(() => TRAIT_DATE),
  no_date: text,
  next: text,
};
const EVENT_WAY: Shape = { id: text, event: message(() => EVENT_MATCH), next: text };
const WAIT_FOR_EVENT: Shape = {
  event: message(() => EVENT_MATCH),
  timeout: duration,
  happened: text,
  timed_out: text,
  ways: list(
    message(() => EVENT_WAY),
    10,
  ),
};
export const BRANCH_CONDITION: Shape = {
  in_segment: text,
  not_in_segment: text,
  trigger: message(() => PROPERTY_CONDITION),
  expression: text,
};
const BRANCH_WAY: Shape = {
  id: text,
  conditions: list(
    message(() => BRANCH_CONDITION),
    20,
  ),
  next: text,
};
const BRANCH: Shape = {
  ways: list(
    message(() => BRANCH_WAY),
    20,
  ),
  otherwise: text,
};
const VARIANT: Shape = { id: text, weight: number, next: text, hold_out: boolean };
const SPLIT: Shape = {
  experiment_id: text,
  variants: list(
    message(() => VARIANT),
    10,
  ),
};
const MESSAGE_FALLBACK: Shape = { channel: text, template_id: text };
const MESSAGE: Shape = {
  channel: text,
  template_id: text,
  purpose: text,
  next: text,
  fallbacks: list(
    message(() => MESSAGE_FALLBACK),
    3,
  ),
};
const WEBHOOK: Shape = { template_id: text, next: text };
const UPDATE_TRAITS: Shape = { traits: { is: 'value' }, expressions: texts, next: text };
const EMIT_EVENT: Shape = { name: text, properties: { is: 'value' }, expressions: texts, next: text };
const EXIT: Shape = { reason: text };

export const NODE: Shape = {
  id: text,
  wait: message(() => WAIT),
  wait_for_event: message(() => WAIT_FOR_EVENT),
  branch: message(() => BRANCH),
  split: message(() => SPLIT),
  message: message(() => MESSAGE),
  webhook: message(() => WEBHOOK),
  update_traits: message(() => UPDATE_TRAITS),
  emit_event: message(() => EMIT_EVENT),
  exit: message(() => EXIT),
};

const GOAL: Shape = { event: message(() => EVENT_MATCH), within: duration, stay: boolean };
const EXIT_CRITERION: Shape = { event: message(() => EVENT_MATCH), segment_entered: text, segment_exited: text };
const REENTRY: Shape = { rule: enumeration('REENTRY_RULE_', ReentryRule), days: number };

const DEFINITION: Shape = {
  trigger: message(() => TRIGGER),
  start: text,
  nodes: list(
    message(() => NODE),
    200,
  ),
  goal: message(() => GOAL),
  exit_when: list(
    message(() => EXIT_CRITERION),
    20,
  ),
  reentry: message(() => REENTRY),
  hold_out_percent: number,
  group: text,
  priority: number,
};

/** What the service itself sets may stand in a file written from an answer of the API; it is ignored on write. */
export const JOURNEY: Shape = {
  id: text,
  name: text,
  description: text,
  definition: message(() => DEFINITION),
  status: enumeration('JOURNEY_STATUS_', JourneyStatus),
  version: number,
  revision: number,
  create_time_ms: number,
  update_time_ms: number,
};

/** Fields of which at most one may stand in a message. */
export const CHOICES: ReadonlyMap<Shape, readonly string[]> = new Map([
  [TRIGGER, Object.keys(TRIGGER)],
  [SCHEDULE, ['cron', 'festival']],
  [NODE, Object.keys(NODE).filter((field) => field !== 'id')],
  [BRANCH_CONDITION, Object.keys(BRANCH_CONDITION)],
  [EXIT_CRITERION, Object.keys(EXIT_CRITERION)],
]);
