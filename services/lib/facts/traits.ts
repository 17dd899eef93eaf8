import type { Facts, TraitValue } from '#gen/recur/facts/v1/facts.ts';
import type { Trait } from '#gen/recur/log/v1/event.ts';
import { ownBytes } from '#lib/wire/own-bytes.ts';
import { leastRecent, MAX_NAME_LENGTH, MAX_TRAIT_LENGTH, MAX_TRAITS } from './bounds.ts';
import { dropped } from './dropped.ts';

const NOTHING = Buffer.alloc(0);
const text = new TextDecoder('utf-8', { fatal: false });

/** The trait as it is kept, removed ones (JSON null) included; undefined when it never was set. */
export function findTrait(facts: Facts, name: string): TraitValue | undefined {
  const traits = facts.traits;
  for (let i = 0; i < traits.length; i++) if ((traits[i] as TraitValue).name === name) return traits[i];
  return undefined;
}

/** Value of a trait; undefined when it is not set, was removed, or is personal (sealed). */
export function traitValue(facts: Facts, name: string): unknown {
  const trait = findTrait(facts, name);
  if (trait === undefined || trait.json === '') return undefined;
  try {
    return JSON.parse(trait.json) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Sets the traits of an identify event of `time`; returns the names whose value changed. */
export function setTraits(facts: Facts, traits: readonly Trait[], time: number): string[] {
  const changed: string[] = [];
  for (const trait of traits) {
    if (trait.name === '' || trait.name.length > MAX_NAME_LENGTH) {
      dropped(facts).traits++;
      continue;
    }
    const sealed = trait.sealed.length > 0;
    const tooLong = (sealed ? trait.sealed : trait.json).length > MAX_TRAIT_LENGTH;
    const json = tooLong ? 'null' : sealed ? '' : text.decode(trait.json);
    // The event's bytes belong to its frame: keep a copy.
    const bytes = sealed && !tooLong ? ownBytes(trait.sealed) : NOTHING;
    if (tooLong) dropped(facts).traits++;
    if (setTrait(facts, { name: trait.name, json, sealed: bytes, timeMs: time }, true)) changed.push(trait.name);
  }
  return changed;
}

/** The later one wins; of two set in the same millisecond the one applied last, or between two customers the greater. */
export function setTrait(facts: Facts, next: TraitValue, lastApplied: boolean): boolean {
  const known = findTrait(facts, next.name);
  if (known === undefined) return addTrait(facts, next);
  if (next.timeMs < known.timeMs) return false;
  const differs = known.json !== next.json || Buffer.compare(known.sealed, next.sealed) !== 0;
  if (next.timeMs === known.timeMs && !lastApplied && !greater(next, known)) return false;
  known.timeMs = next.timeMs;
  known.json = next.json;
  known.sealed = next.sealed;
  return differs;
}

function addTrait(facts: Facts, next: TraitValue): boolean {
  facts.traits.push(next);
  if (facts.traits.length <= MAX_TRAITS) return true;
  const at = leastRecent(facts.traits, (trait) => trait.timeMs);
  const [gone] = facts.traits.splice(at, 1);
  dropped(facts).traits++;
  return gone !== next;
}

function greater(a: TraitValue, b: TraitValue): boolean {
  return a.json !== b.json ? a.json > b.json : Buffer.compare(a.sealed, b.sealed) > 0;
}
