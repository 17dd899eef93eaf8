import type { ListCondition, Rule, TraitCondition } from '#gen/recur/segmentation/v1/rule.ts';
import { conditionsOf } from './references.ts';

export const LIST_KIND = 'customer_list';

/** The trait that says whether a customer is on the list; its value is the list's create time. Senders cannot write it. */
export const listTrait = (id: string): string => `$list.${id}`;

/** Being on a list is a trait as any other. */
export const asTrait = ({ id, createTimeMs }: ListCondition): TraitCondition => ({
  ...{ name: listTrait(id), equals: createTimeMs, in: [], exists: undefined, number: undefined, contains: '' },
});

export function listsIn(rule: Rule): Set<string> {
  const ids = new Set<string>();
  for (const { list } of conditionsOf(rule)) if (list !== undefined) ids.add(list.id);
  return ids;
}

/** The rule with the lists there are now, whatever the caller wrote there. @param made when each was made */
export function withLists(rule: Rule, made: ReadonlyMap<string, number>): Rule {
  const { all, any, not, list } = rule;
  return {
    ...rule,
    all: all.map((part) => withLists(part, made)),
    any: any.map((part) => withLists(part, made)),
    not: not && withLists(not, made),
    list: list && { ...list, createTimeMs: made.get(list.id) ?? 0 },
  };
}
