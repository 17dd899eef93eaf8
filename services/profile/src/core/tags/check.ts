import {
  ProfileFigure,
  type Tag,
  type TagCondition,
  TagFamily,
  type TagInput,
  type TagRule,
} from '#gen/recur/profile/v1/tag.ts';
import { Check, type Violation } from '../check.ts';

const MAX_LEVELS = 20;
const MAX_DEPTH = 5;
const MAX_CONDITIONS = 30;
const MAX_NAME = 200;

/** Everything that is wrong with a tag. `computedTraits`: ids of those there are. */
export function checkTag(tag: Tag, computedTraits: ReadonlySet<string>): Violation[] {
  const check = new TagCheck(computedTraits);
  check.names(tag);
  if (tag.family < TagFamily.TAG_FAMILY_BASIC || tag.family > TagFamily.TAG_FAMILY_PREFERENCE) {
    check.fail('family', 'must be one of basic, behaviour, spending_power, preference');
  }
  check.count('levels', tag.levels.length, 1, MAX_LEVELS);
  tag.levels.slice(0, MAX_LEVELS).forEach(({ rule, value, englishName, chineseName }, i) => {
    const at = `levels[${i}]`;
    if (rule === undefined) check.fail(`${at}.rule`, 'must be set');
    else check.rule(`${at}.rule`, rule, 1);
    if (value?.$case === 'text') check.length(`${at}.text`, value.value, 1, MAX_NAME);
    if (value?.$case === 'input') check.input(`${at}.input`, value.value);
    check.length(`${at}.english_name`, englishName, 0, MAX_NAME);
    check.length(`${at}.chinese_name`, chineseName, 0, MAX_NAME);
  });
  return check.violations;
}

class TagCheck extends Check {
  readonly #computedTraits: ReadonlySet<string>;
  #conditions = 0;

  constructor(computedTraits: ReadonlySet<string>) {
    super();
    this.#computedTraits = computedTraits;
  }

  rule(at: string, rule: TagRule, depth: number): void {
    if (depth > MAX_DEPTH) {
      this.fail(at, `rules must be at most ${MAX_DEPTH} levels deep`);
      return;
    }
    const set = [
      rule.all.length > 0 && 'all',
      rule.any.length > 0 && 'any',
      rule.not !== undefined && 'not',
      rule.condition !== undefined && 'condition',
    ].filter((name) => name !== false);
    if (set.length !== 1) {
      const found = set.length === 0 ? 'none is set' : `${set.join(' and ')} are set`;
      this.fail(at, `exactly one of all, any, not, condition must be set; ${found}`);
      return;
    }
    for (const [i, part] of rule.all.entries()) this.rule(`${at}.all[${i}]`, part, depth + 1);
    for (const [i, part] of rule.any.entries()) this.rule(`${at}.any[${i}]`, part, depth + 1);
    if (rule.not !== undefined) this.rule(`${at}.not`, rule.not, depth + 1);
    if (rule.condition !== undefined) this.#condition(`${at}.condition`, rule.condition);
  }

  #condition(at: string, condition: TagCondition): void {
    if (++this.#conditions === MAX_CONDITIONS + 1) this.fail(at, `must be one of at most ${MAX_CONDITIONS} conditions`);
    if (condition.input === undefined) this.fail(`${at}.input`, 'must be set');
    else this.input(`${at}.input`, condition.input);
    this.test(at, condition);
  }

  input(at: string, { from }: TagInput): void {
    if (from === undefined) this.fail(at, 'one of trait, computed_trait, figure, months_since_trait must be set');
    else if (from.$case === 'trait') this.length(`${at}.trait`, from.value, 1, MAX_NAME);
    else if (from.$case === 'monthsSinceTrait') this.length(`${at}.months_since_trait`, from.value, 1, MAX_NAME);
    else if (from.$case === 'computedTrait') {
      if (!this.#computedTraits.has(from.value)) {
        this.fail(`${at}.computed_trait`, `there is no computed trait "${from.value.slice(0, 63)}"`);
      }
    } else if (from.value < ProfileFigure.PROFILE_FIGURE_ORDERS || from.value > ProfileFigure.PROFILE_FIGURE_CHANNELS) {
      this.fail(`${at}.figure`, 'is not known');
    }
  }
}

/** Ids of the computed traits a tag reads. */
export function computedTraitsIn(tag: Tag): Set<string> {
  const found = new Set<string>();
  const note = (input: TagInput | undefined) => {
    if (input?.from?.$case === 'computedTrait') found.add(input.from.value);
  };
  const walk = (rule: TagRule | undefined) => {
    if (rule === undefined) return;
    note(rule.condition?.input);
    for (const part of [...rule.all, ...rule.any]) walk(part);
    walk(rule.not);
  };
  for (const { rule, value } of tag.levels) {
    walk(rule);
    if (value?.$case === 'input') note(value.value);
  }
  return found;
}
