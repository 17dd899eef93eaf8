import { type TraitType, TraitValueType } from '#gen/recur/profile/v1/trait_type.ts';
import { traitRule } from '#lib/traits/trait-types.ts';
import { Check, type Violation } from './check.ts';

const MAX_ALLOWED = 200;

/** Everything that is wrong with a declaration. `taken`: id of another one for the same trait, if there is one. */
export function checkTraitType(declared: TraitType, taken: string | undefined): Violation[] {
  const check = new Check();
  const { name, type, allowed } = declared;
  check.names(declared);
  check.length('name', name, 1, 100);
  if (taken !== undefined) check.fail('name', `"${name.slice(0, 50)}" is declared by "${taken}" already`);
  if (type < TraitValueType.TRAIT_VALUE_TYPE_STRING || type > TraitValueType.TRAIT_VALUE_TYPE_STRING_LIST) {
    check.fail('type', 'must be one of string, number, boolean, date, string_list');
  }
  check.count('allowed', allowed.length, 0, MAX_ALLOWED);
  const list = type === TraitValueType.TRAIT_VALUE_TYPE_STRING_LIST;
  const rule = traitRule({ type, allowed: [] });
  allowed.slice(0, MAX_ALLOWED).forEach((value, i) => {
    const fault = rule(list ? [value] : value);
    if (fault !== undefined) check.fail(`allowed[${i}]`, fault);
  });
  return check.violations;
}
