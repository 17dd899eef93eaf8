import { createHash } from 'node:crypto';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type {
  EventCondition,
  PropertyCondition,
  Range,
  Rule,
  SequenceCondition,
} from '#gen/recur/segmentation/v1/rule.ts';
import { conditionsOf } from './references.ts';

/**
 * What facts do not tell (events by their properties, one event within a time of another) computed traits of profile count:
 * exactly, from history on, through merges and as windows move. A rule brings its own along; what counts the same has the same
 * id, so rules share them, and a rule asked for again finds its own.
 */
export const COUNTER_PREFIX = 'rule-';
const HOUR_MS = 3_600_000;

const isCounted = ({ where }: EventCondition): boolean => where.length > 0;
const isTimed = ({ withinHours }: SequenceCondition): boolean => withinHours !== undefined;

/** The computed traits the rule needs, each once. */
export function countersOf(rule: Rule): ComputedTrait[] {
  const counters = new Map<string, ComputedTrait>();
  for (const { event, sequence } of conditionsOf(rule)) {
    const found = [event && counterOfEvent(event), event && sumOfEvent(event), sequence && counterOfSequence(sequence)];
    for (const counter of found) if (counter !== undefined) counters.set(counter.id, counter);
  }
  return [...counters.values()];
}

/** Ids of those a condition reads. */
export function countersRead({ event, sequence }: Rule): string[] {
  if (event !== undefined && isCounted(event)) return [event.countedBy, event.summedBy].filter((id) => id !== '');
  return sequence !== undefined && isTimed(sequence) ? [sequence.countedBy] : [];
}

/** The rule with the ids of the computed traits it reads, whatever the caller wrote there. */
export function withCounters(rule: Rule): Rule {
  const { all, any, not, event, sequence } = rule;
  return {
    ...rule,
    all: all.map(withCounters),
    any: any.map(withCounters),
    not: not && withCounters(not),
    event: event && {
      ...event,
      countedBy: counterOfEvent(event)?.id ?? '',
      summedBy: sumOfEvent(event)?.id ?? '',
    },
    sequence: sequence && { ...sequence, countedBy: counterOfSequence(sequence)?.id ?? '' },
  };
}

function counterOfEvent(event: EventCondition): ComputedTrait | undefined {
  const { name, days, count, amountMicros, where } = event;
  if (!isCounted(event) || (count === undefined && amountMicros !== undefined)) return undefined;
  return counter(`${name} by properties`, { events: [name], where, ...windowOf(days) });
}

function sumOfEvent(event: EventCondition): ComputedTrait | undefined {
  const { name, days, amountMicros, where } = event;
  if (!isCounted(event) || amountMicros === undefined) return undefined;
  const sum = { aggregation: Aggregation.AGGREGATION_SUM, property: 'amount' };
  return counter(`Amount of ${name} by properties`, { events: [name], where, ...sum, ...windowOf(days) });
}

function counterOfSequence(sequence: SequenceCondition): ComputedTrait | undefined {
  const { first, second, withinHours, days } = sequence;
  if (!isTimed(sequence) || withinHours === undefined) return undefined;
  return counter(`${first}, then ${second}`, {
    ...{ events: [first], followedBy: [second], withinMs: Math.round(withinHours * HOUR_MS) },
    ...{ aggregation: Aggregation.AGGREGATION_SEQUENCE, ...windowOf(days) },
  });
}

type Parts = Omit<Partial<ComputedTrait>, 'where'> & { readonly where?: readonly PropertyCondition[] };

function counter(name: string, parts: Parts): ComputedTrait {
  const trait = ComputedTrait.fromPartial({ aggregation: Aggregation.AGGREGATION_COUNT, ...(parts as object) });
  const hash = createHash('sha256').update(ComputedTrait.encode(trait).finish()).digest('hex');
  const description = 'Comes with the rules of segments that read it, and goes when none is left.';
  return { ...trait, id: `${COUNTER_PREFIX}${hash.slice(0, 24)}`, englishName: name.slice(0, 200), description };
}

const windowOf = (days: number | undefined): Pick<ComputedTrait, 'window'> => ({
  window: days === undefined ? undefined : { $case: 'days', value: days },
});

/** Bounds of micros as bounds of units, which computed traits are in. */
export function inUnits(range: Range): Range {
  const units = (micros: number | undefined) => (micros === undefined ? undefined : micros / 1e6);
  const { atLeast, atMost, moreThan, lessThan } = range;
  return { atLeast: units(atLeast), atMost: units(atMost), moreThan: units(moreThan), lessThan: units(lessThan) };
}
