import type { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import type { Facts } from '#lib/facts/facts.ts';
import { Check, type Violation } from './check.ts';

/** In force until somebody says otherwise. */
export const DEFAULT_COMPLETENESS: CompletenessSettings = {
  traits: ['firstName', 'gender', 'birthday', 'city'],
  identifiers: ['email', 'phone'],
  revision: 0,
};

/** How much of what should be known of a customer is known, percent, rounded down; 100 when nothing should be. */
export function completenessOf(facts: Facts, { traits, identifiers }: CompletenessSettings): number {
  const wanted = traits.length + identifiers.length;
  if (wanted === 0) return 100;
  let known = 0;
  for (const name of traits) {
    if (facts.traits.some((trait) => trait.name === name && trait.json !== 'null' && trait.json !== '""')) known++;
  }
  for (const type of identifiers) if (facts.identifiers.some((one) => one.type === type)) known++;
  return Math.floor((known * 100) / wanted);
}

/** Everything that is wrong with the settings. */
export function checkCompleteness({ traits, identifiers }: CompletenessSettings): Violation[] {
  const check = new Check();
  check.count('traits', traits.length, 0, 50);
  check.count('identifiers', identifiers.length, 0, 20);
  traits.slice(0, 50).forEach((name, i) => {
    check.length(`traits[${i}]`, name, 1, 200);
    if (traits.indexOf(name) < i) check.fail(`traits[${i}]`, `"${name.slice(0, 50)}" is named twice`);
  });
  identifiers.slice(0, 20).forEach((type, i) => {
    if (!/^[a-z][a-z0-9_]{0,63}$/.test(type)) check.fail(`identifiers[${i}]`, 'must be 1 to 64 of a-z, 0-9 and "_"');
    if (identifiers.indexOf(type) < i) check.fail(`identifiers[${i}]`, `"${type}" is named twice`);
  });
  return check.violations;
}
