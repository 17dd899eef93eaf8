import { type Tag, type TagCondition, TagFamily, type TagLevel, type TagRule } from '#gen/recur/profile/v1/tag.ts';
import type { Range } from '#gen/recur/segmentation/v1/rule.ts';
import { NEVER } from '../computed/figure.ts';
import { compileTest, inRange } from '../computed/value-test.ts';
import { type CompiledInput, compileInput, type InputKey, type Reading, type TagView } from './inputs.ts';

/** A tag as it is worked with. It must be valid (check.ts). */
export interface CompiledTag {
  readonly id: string;
  readonly revision: number;
  readonly family: string;
  /** What must change for the tag to change. */
  readonly keys: ReadonlySet<InputKey>;
  /** What the tag says: JSON text, empty when it is carried without a value; undefined: not carried. */
  valueOf(view: TagView): string | undefined;
  /** The next moment after `view.now` at which that may change by time alone. */
  next(view: TagView): number;
}

export const FAMILY_NAMES: Readonly<Partial<Record<TagFamily, string>>> = {
  [TagFamily.TAG_FAMILY_BASIC]: 'basic',
  [TagFamily.TAG_FAMILY_BEHAVIOUR]: 'behaviour',
  [TagFamily.TAG_FAMILY_SPENDING_POWER]: 'spending_power',
  [TagFamily.TAG_FAMILY_PREFERENCE]: 'preference',
};

const DAY_MS = 86_400_000;

interface Compiled {
  readonly inputs: readonly CompiledInput[];
  holds(view: TagView): boolean;
  next(view: TagView): number;
}

export function compileTag(tag: Tag): CompiledTag {
  const levels = tag.levels.map(compileLevel);
  return {
    id: tag.id,
    revision: tag.revision,
    family: FAMILY_NAMES[tag.family] ?? '',
    keys: new Set(levels.flatMap(({ inputs }) => inputs.flatMap(({ keys }) => keys))),
    valueOf: (view) => {
      for (const level of levels) {
        const value = level.valueOf(view);
        if (value !== undefined) return value;
      }
      return undefined;
    },
    next: (view) => Math.min(NEVER, ...levels.map((level) => level.next(view))),
  };
}

function compileLevel({ rule, value }: TagLevel): Compiled & { valueOf(view: TagView): string | undefined } {
  const compiled = compileRule(rule as TagRule);
  if (value?.$case !== 'input') {
    const text = value === undefined ? '' : JSON.stringify(value.value);
    return { ...compiled, valueOf: (view) => (compiled.holds(view) ? text : undefined) };
  }
  const input = compileInput(value.value);
  return {
    ...compiled,
    inputs: [...compiled.inputs, input],
    valueOf: (view) => {
      if (!compiled.holds(view)) return undefined;
      const [first] = input.read(view).values;
      return first === undefined ? undefined : JSON.stringify(first);
    },
    next: (view) => Math.min(compiled.next(view), input.read(view).nextMs ?? NEVER),
  };
}

function compileRule(rule: TagRule): Compiled {
  if (rule.condition !== undefined) return compileCondition(rule.condition);
  if (rule.not !== undefined) {
    const of = compileRule(rule.not);
    return { ...of, holds: (view) => !of.holds(view) };
  }
  const every = rule.all.length > 0;
  const parts = (every ? rule.all : rule.any).map(compileRule);
  return {
    inputs: parts.flatMap(({ inputs }) => inputs),
    holds: (view) => (every ? parts.every((part) => part.holds(view)) : parts.some((part) => part.holds(view))),
    next: (view) => Math.min(NEVER, ...parts.map((part) => part.next(view))),
  };
}

function compileCondition(condition: TagCondition): Compiled {
  const input = compileInput(condition.input ?? { from: undefined });
  const passes = compileTest(condition);
  const { number, exists } = condition;
  const days = number && inMilliseconds(number);
  return {
    inputs: [input],
    holds: (view) => {
      const { values, sinceMs } = input.read(view);
      if (sinceMs === undefined) return passes(values);
      if (exists !== undefined) return exists;
      return days !== undefined && inRange(view.now - sinceMs, days);
    },
    next: (view) => nextOf(input.read(view), days, view.now),
  };
}

/** Bounds in days as whole milliseconds: 92.6 days are 8,000,640,000 ms, not a hair less. */
function inMilliseconds(range: Range): Range {
  const scaled = (bound: number | undefined) => (bound === undefined ? undefined : Math.round(bound * DAY_MS));
  const { atLeast, atMost, moreThan, lessThan } = range;
  return { atLeast: scaled(atLeast), atMost: scaled(atMost), moreThan: scaled(moreThan), lessThan: scaled(lessThan) };
}

function nextOf({ sinceMs, nextMs }: Reading, days: Range | undefined, now: number): number {
  if (sinceMs === undefined) return nextMs ?? NEVER;
  if (days === undefined) return NEVER;
  let next = NEVER;
  const reaches = (bound: number | undefined, after: 0 | 1) => {
    if (bound === undefined) return;
    const at = sinceMs + bound + after;
    if (at > now && at < next) next = at;
  };
  reaches(days.atLeast, 0);
  reaches(days.lessThan, 0);
  reaches(days.moreThan, 1);
  reaches(days.atMost, 1);
  return next;
}
