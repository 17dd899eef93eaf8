import type {
  Branch,
  EventMatch,
  Message,
  Node,
  PropertyCondition,
  Split,
  Wait,
  WaitForEvent,
} from '#gen/recur/journey/v1/journey.ts';
import { Operator } from '#gen/recur/journey/v1/journey.ts';
import { CHANNEL_NAMES, CHANNELS } from '#lib/channels/channels.ts';
import { expressionFault } from '../expression/expression.ts';
import { HAPPENED, TIMED_OUT } from '../nodes/wait-for-event.ts';
import { parseDuration, parseLocalTime } from './duration.ts';
import { checkEmitEvent, checkUpdateTraits } from './validate-actions.ts';
import { checkOpening, checkTraitDate } from './validate-dates.ts';
import type { Violations } from './violations.ts';

const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const EXPERIMENT_ID = /^[a-z][a-z0-9_.-]{0,126}$/;
const REFERENCE = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,126}$/;
const MAX_FALLBACKS = 3;
const PURPOSES = ['marketing', 'transactional'];
const MAX_TEXT = 200;

const NODE_ID_RULE = 'must be a letter or digit, then up to 62 letters, digits, "_" or "-"';

export function checkNode(node: Node, at: string, violations: Violations): void {
  violations.check(NODE_ID.test(node.id), `${at}.id`, NODE_ID_RULE);
  switch (node.kind?.$case) {
    case undefined:
      violations.add(
        at,
        'does nothing: give it one of wait, wait_for_event, branch, split, message, webhook, update_traits, emit_event, exit',
      );
      break;
    case 'wait':
      checkWait(node.kind.value, `${at}.wait`, violations);
      break;
    case 'waitForEvent':
      checkWaitForEvent(node.kind.value, `${at}.wait_for_event`, violations);
      break;
    case 'branch':
      checkBranch(node.kind.value, `${at}.branch`, violations);
      break;
    case 'split':
      checkSplit(node.kind.value, `${at}.split`, violations);
      break;
    case 'message':
      checkMessage(node.kind.value, `${at}.message`, violations);
      break;
    case 'webhook':
      checkReference(node.kind.value.templateId, 'template', `${at}.webhook.template_id`, violations);
      break;
    case 'updateTraits':
      checkUpdateTraits(node.kind.value, `${at}.update_traits`, violations);
      break;
    case 'emitEvent':
      checkEmitEvent(node.kind.value, `${at}.emit_event`, violations);
      break;
    case 'exit':
      violations.check(node.kind.value.reason.length <= 100, `${at}.exit.reason`, 'must be at most 100 characters');
      break;
  }
}

function checkWait(wait: Wait, at: string, violations: Violations): void {
  const { duration, untilDate, untilOpen } = wait;
  const until = [wait.untilLocalTime !== '', untilOpen !== undefined, untilDate !== undefined].filter(Boolean).length;
  if (duration === '' && until === 0)
    violations.add(at, 'needs a duration, until_local_time, until_open or until_date');
  violations.check(until <= 1, at, 'may have one of until_local_time, until_open and until_date');
  if (duration !== '') checkDuration(duration, `${at}.duration`, violations);
  if (untilOpen !== undefined) checkOpening(untilOpen, `${at}.until_open`, violations);
  if (untilDate !== undefined) checkTraitDate(untilDate, `${at}.until_date`, violations);
  violations.check(wait.noDate === '' || untilDate !== undefined, `${at}.no_date`, 'may stand only with until_date');
  if (wait.untilLocalTime === '') return;
  const known = parseLocalTime(wait.untilLocalTime) !== undefined;
  violations.check(known, `${at}.until_local_time`, 'must be a time of day such as "10:00"');
}

function checkWaitForEvent(wait: WaitForEvent, at: string, violations: Violations): void {
  checkEvent(wait.event, `${at}.event`, violations, 'under way');
  checkDuration(wait.timeout, `${at}.timeout`, violations);
  if (!violations.check(wait.ways.length <= 10, `${at}.ways`, 'must have at most 10 items')) return;
  checkUnique(wait.ways, `${at}.ways`, violations);
  for (const [i, { id, event }] of wait.ways.entries()) {
    const own = NODE_ID.test(id) && id !== HAPPENED && id !== TIMED_OUT;
    violations.check(own, `${at}.ways[${i}].id`, `${NODE_ID_RULE}, and not "${HAPPENED}" or "${TIMED_OUT}"`);
    checkEvent(event, `${at}.ways[${i}].event`, violations, 'under way');
  }
}

export function checkDuration(text: string, at: string, violations: Violations): void {
  const parsed = text === '' ? 'is missing: give a duration such as "P3D"' : parseDuration(text);
  if (typeof parsed === 'string') violations.add(at, parsed);
}

export function checkReference(id: string, what: string, at: string, violations: Violations): void {
  violations.check(REFERENCE.test(id), at, `must be the id of a ${what}`);
}

/** @param of events of customers under way may be compared with what let them in */
export function checkEvent(
  event: EventMatch | undefined,
  at: string,
  violations: Violations,
  of: 'anybody' | 'under way' = 'anybody',
): void {
  if (event === undefined) {
    violations.add(at, 'is missing');
    return;
  }
  const named = event.name !== '' && event.name.length <= MAX_TEXT;
  violations.check(named, `${at}.name`, `must be an event name of 1 to ${MAX_TEXT} characters`);
  violations.check(event.where.length <= 20, `${at}.where`, 'must have at most 20 items');
  for (const [i, condition] of event.where.slice(0, 20).entries()) {
    const position = `${at}.where[${i}]`;
    if (condition.triggerProperty === '') checkCondition(condition, position, violations);
    else checkComparison(condition, position, of, violations);
  }
  if (event.expression === '') return;
  const scope = of === 'under way' ? 'event under way' : 'event';
  const fault = expressionFault(event.expression, scope, 'boolean');
  if (fault !== undefined) violations.add(`${at}.expression`, fault);
}

function checkComparison(condition: PropertyCondition, at: string, of: string, violations: Violations): void {
  const { property, op, value, triggerProperty } = condition;
  const rule = `must be a property path of 1 to ${MAX_TEXT} characters`;
  violations.check(property !== '' && property.length <= MAX_TEXT, `${at}.property`, rule);
  const position = `${at}.trigger_property`;
  violations.check(of === 'under way', position, 'may stand only in events of exit_when and wait_for_event');
  violations.check(triggerProperty.length <= MAX_TEXT, position, rule);
  violations.check(value === undefined, `${at}.value`, 'must be absent beside trigger_property');
  const compares = op >= Operator.OPERATOR_EQ && op <= Operator.OPERATOR_IN;
  violations.check(
    compares,
    `${at}.op`,
    'must be one of eq, ne, gt, gte, lt, lte, contains, in beside trigger_property',
  );
}

function checkCondition(condition: PropertyCondition, at: string, violations: Violations): void {
  const named = condition.property !== '' && condition.property.length <= MAX_TEXT;
  violations.check(named, `${at}.property`, `must be a property path of 1 to ${MAX_TEXT} characters`);
  const { op, value } = condition;
  switch (op) {
    case Operator.OPERATOR_EXISTS:
    case Operator.OPERATOR_NOT_EXISTS:
      violations.check(value === undefined, `${at}.value`, 'must be absent for this op');
      break;
    case Operator.OPERATOR_GT:
    case Operator.OPERATOR_GTE:
    case Operator.OPERATOR_LT:
    case Operator.OPERATOR_LTE:
      violations.check(Number.isFinite(value), `${at}.value`, 'must be a number for this op');
      break;
    case Operator.OPERATOR_IN: {
      const good = Array.isArray(value) && value.length > 0 && value.length <= 100 && value.every(isScalar);
      violations.check(good, `${at}.value`, 'must be a list of 1 to 100 strings, numbers or booleans for this op');
      break;
    }
    case Operator.OPERATOR_EQ:
    case Operator.OPERATOR_NE:
    case Operator.OPERATOR_CONTAINS:
      violations.check(
        isScalar(value),
        `${at}.value`,
        'must be a string of at most 200 characters, a number or a boolean',
      );
      break;
    default:
      violations.add(`${at}.op`, 'must be one of eq, ne, gt, gte, lt, lte, contains, in, exists, not_exists');
  }
}

function isScalar(value: unknown): boolean {
  return (
    (typeof value === 'string' && value.length <= MAX_TEXT) || typeof value === 'boolean' || Number.isFinite(value)
  );
}

function checkBranch(branch: Branch, at: string, violations: Violations): void {
  const many = branch.ways.length >= 1 && branch.ways.length <= 20;
  if (!violations.check(many, `${at}.ways`, 'must have 1 to 20 items')) return;
  checkUnique(branch.ways, `${at}.ways`, violations);
  branch.ways.forEach((way, i) => {
    const position = `${at}.ways[${i}]`;
    violations.check(NODE_ID.test(way.id), `${position}.id`, NODE_ID_RULE);
    const bounded = way.conditions.length >= 1 && way.conditions.length <= 20;
    if (!violations.check(bounded, `${position}.conditions`, 'must have 1 to 20 items')) return;
    way.conditions.forEach(({ kind }, k) => {
      const where = `${position}.conditions[${k}]`;
      if (kind === undefined) violations.add(where, 'is empty: give in_segment, not_in_segment, trigger or expression');
      else if (kind.$case === 'expression') {
        const fault = expressionFault(kind.value, 'node', 'boolean');
        if (fault !== undefined) violations.add(`${where}.expression`, fault);
      } else if (kind.$case === 'trigger') {
        const own = kind.value.triggerProperty === '';
        violations.check(own, `${where}.trigger.trigger_property`, 'must be absent: the condition reads the trigger');
        checkCondition(kind.value, `${where}.trigger`, violations);
      } else {
        const field = kind.$case === 'inSegment' ? 'in_segment' : 'not_in_segment';
        checkReference(kind.value, 'segment', `${where}.${field}`, violations);
      }
    });
  });
}

function checkSplit(split: Split, at: string, violations: Violations): void {
  if (split.experimentId !== '') {
    const rule = 'must be a lower-case letter, then up to 126 lower-case letters, digits, "_", "-" or "."';
    violations.check(EXPERIMENT_ID.test(split.experimentId), `${at}.experiment_id`, rule);
  }
  const many = split.variants.length >= 2 && split.variants.length <= 10;
  if (!violations.check(many, `${at}.variants`, 'must have 2 to 10 items')) return;
  checkUnique(split.variants, `${at}.variants`, violations);
  let sum = 0;
  split.variants.forEach((variant, i) => {
    violations.check(NODE_ID.test(variant.id), `${at}.variants[${i}].id`, NODE_ID_RULE);
    const good = Number.isFinite(variant.weight) && variant.weight >= 0 && variant.weight <= 1e9;
    if (violations.check(good, `${at}.variants[${i}].weight`, 'must be from 0 to 1e9')) sum += variant.weight;
  });
  violations.check(sum > 0, `${at}.variants`, 'must have weights whose sum is greater than 0');
  const holdOuts = split.variants.filter((variant) => variant.holdOut).length;
  violations.check(holdOuts <= 1, `${at}.variants`, 'must have at most one hold_out arm');
}

function checkMessage(message: Message, at: string, violations: Violations): void {
  violations.check(CHANNELS.has(message.channel), `${at}.channel`, `must be one of ${CHANNEL_NAMES}`);
  violations.check(PURPOSES.includes(message.purpose), `${at}.purpose`, `must be one of ${PURPOSES.join(', ')}`);
  checkReference(message.templateId, 'template', `${at}.template_id`, violations);
  const { fallbacks } = message;
  violations.check(fallbacks.length <= MAX_FALLBACKS, `${at}.fallbacks`, `must have at most ${MAX_FALLBACKS} items`);
  for (const [i, { channel, templateId }] of fallbacks.slice(0, MAX_FALLBACKS).entries()) {
    const position = `${at}.fallbacks[${i}]`;
    violations.check(CHANNELS.has(channel), `${position}.channel`, `must be one of ${CHANNEL_NAMES}`);
    checkReference(templateId, 'template', `${position}.template_id`, violations);
  }
}

/** Ids of list items are unique; `at` is the position of the list. */
export function checkUnique(items: readonly { id: string }[], at: string, violations: Violations): void {
  const seen = new Set<string>();
  items.forEach(({ id }, i) => {
    violations.check(!seen.has(id), `${at}[${i}].id`, `"${id}" stands for another one already`);
    seen.add(id);
  });
}
