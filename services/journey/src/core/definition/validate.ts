import {
  type ExitCriterion,
  type Journey,
  JourneyDefinition,
  ReentryRule,
  type Trigger,
} from '#gen/recur/journey/v1/journey.ts';
import { checkGraph } from './graph.ts';
import { checkSchedule, checkTraitDate } from './validate-dates.ts';
import { checkDuration, checkEvent, checkNode, checkReference, checkUnique } from './validate-nodes.ts';
import { Violations } from './violations.ts';

const JOURNEY_ID = /^[a-z][a-z0-9_-]{0,62}$/;
const ID_RULE = 'must be a lower-case letter, then up to 62 lower-case letters, digits, "_" or "-"';
const MAX_NODES = 200;
const MAX_DEFINITION_BYTES = 32_768;

/** Everything that keeps a journey from being stored. `at` is put before positions: "journey" or "". */
export function validateJourney(journey: Journey, at = 'journey', violations = new Violations()): Violations {
  const position = (field: string) => (at === '' ? field : `${at}.${field}`);
  violations.check(JOURNEY_ID.test(journey.id), position('id'), ID_RULE);
  violations.check(journey.name.length <= 200, position('name'), 'must be at most 200 characters');
  violations.check(journey.description.length <= 2000, position('description'), 'must be at most 2,000 characters');
  if (journey.definition === undefined) violations.add(position('definition'), 'is missing');
  else checkDefinition(journey.definition, position('definition'), violations);
  return violations;
}

function checkDefinition(definition: JourneyDefinition, at: string, violations: Violations): void {
  const count = definition.nodes.length;
  if (!violations.check(count >= 1 && count <= MAX_NODES, `${at}.nodes`, `must have 1 to ${MAX_NODES} items`)) return;
  const bytes = JourneyDefinition.encode(definition).finish().length;
  if (!violations.check(bytes <= MAX_DEFINITION_BYTES, at, 'must be at most 32 KB encoded')) return;
  checkTrigger(definition.trigger, `${at}.trigger`, violations);
  checkUnique(definition.nodes, `${at}.nodes`, violations);
  for (const [i, node] of definition.nodes.entries()) checkNode(node, `${at}.nodes[${i}]`, violations);
  if (definition.goal !== undefined) {
    checkEvent(definition.goal.event, `${at}.goal.event`, violations);
    checkDuration(definition.goal.within, `${at}.goal.within`, violations);
  }
  violations.check(definition.exitWhen.length <= 20, `${at}.exit_when`, 'must have at most 20 items');
  for (const [i, criterion] of definition.exitWhen.slice(0, 20).entries()) {
    checkExit(criterion, `${at}.exit_when[${i}]`, violations);
  }
  checkReentry(definition, `${at}.reentry`, violations);
  const percent = definition.holdOutPercent;
  violations.check(percent >= 0 && percent <= 100, `${at}.hold_out_percent`, 'must be from 0 to 100');
  const { group, priority } = definition;
  violations.check(group === '' || JOURNEY_ID.test(group), `${at}.group`, ID_RULE);
  const ranked = Number.isInteger(priority) && priority >= 0 && priority <= 100;
  violations.check(ranked, `${at}.priority`, 'must be a whole number from 0 to 100');
  checkGraph(definition, at, violations);
}

function checkTrigger(trigger: Trigger | undefined, at: string, violations: Violations): void {
  const kind = trigger?.kind;
  switch (kind?.$case) {
    case 'event':
      checkEvent(kind.value, `${at}.event`, violations);
      break;
    case 'segmentEntered':
      checkReference(kind.value, 'segment', `${at}.segment_entered`, violations);
      break;
    case 'segmentExited':
      checkReference(kind.value, 'segment', `${at}.segment_exited`, violations);
      break;
    case 'classChanged': {
      const known = ['rfm', 'lifecycle'].includes(kind.value.dimension);
      violations.check(known, `${at}.class_changed.dimension`, 'must be rfm or lifecycle');
      const short = kind.value.from.length <= 100 && kind.value.to.length <= 100;
      violations.check(short, `${at}.class_changed`, 'from and to must be at most 100 characters');
      break;
    }
    case 'api':
      break;
    case 'date':
      checkTraitDate(kind.value, `${at}.date`, violations);
      break;
    case 'schedule':
      checkSchedule(kind.value, `${at}.schedule`, violations);
      break;
    case 'liveRoom':
      violations.check(kind.value.roomId.length <= 100, `${at}.live_room.room_id`, 'must be at most 100 characters');
      checkReference(kind.value.segmentId, 'segment', `${at}.live_room.segment_id`, violations);
      break;
    default:
      violations.add(
        at,
        'is missing: give event, segment_entered, segment_exited, class_changed, date, schedule, live_room or api',
      );
  }
}

function checkExit({ kind }: ExitCriterion, at: string, violations: Violations): void {
  switch (kind?.$case) {
    case 'event':
      checkEvent(kind.value, `${at}.event`, violations, 'under way');
      break;
    case 'segmentEntered':
      checkReference(kind.value, 'segment', `${at}.segment_entered`, violations);
      break;
    case 'segmentExited':
      checkReference(kind.value, 'segment', `${at}.segment_exited`, violations);
      break;
    default:
      violations.add(at, 'is empty: give event, segment_entered or segment_exited');
  }
}

function checkReentry({ reentry }: JourneyDefinition, at: string, violations: Violations): void {
  if (reentry === undefined) return;
  const known = reentry.rule >= ReentryRule.REENTRY_RULE_UNSPECIFIED && reentry.rule <= ReentryRule.REENTRY_RULE_AFTER;
  violations.check(known, `${at}.rule`, 'must be one of never, always, after');
  if (reentry.rule === ReentryRule.REENTRY_RULE_AFTER) {
    violations.check(reentry.days >= 1 && reentry.days <= 400, `${at}.days`, 'must be from 1 to 400 for rule after');
  } else violations.check(reentry.days === 0, `${at}.days`, 'may stand only with rule after');
}
