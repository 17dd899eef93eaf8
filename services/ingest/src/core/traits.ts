import type { Trait } from '#gen/recur/log/v1/event.ts';
import type { Json } from './inspect.ts';
import { MAX_TRAIT_NAME } from './limits.ts';
import { holdsPersonal } from './personal.ts';
import type { Violations } from './violations.ts';

/** Traits that say which lists a customer is on: only segmentation writes them. */
const LIST_TRAITS = '$list.';
const NONE = Buffer.alloc(0);
const NULL = Buffer.from('null');

export interface TraitTools {
  /** @param subject whose trait it is: equal values of one customer may be sealed to equal bytes, of two never */
  seal(json: string, subject: string): Buffer;
  readonly personal: { has(name: string): boolean };
  /** Traits somebody declared, and what their values must be. */
  readonly types: { fault(name: string, value: unknown): string | undefined };
}

/** Every entry of `traits` as a trait; what is personal, sealed. JSON null removes a trait, so it is a value as any other. */
export function readTraits(
  traits: Json,
  path: string,
  subject: string,
  tools: TraitTools,
  violations: Violations,
): Trait[] {
  const read: Trait[] = [];
  for (const name in traits) {
    const value = traits[name];
    if (value === undefined) continue;
    if (name === '' || name.length > MAX_TRAIT_NAME) {
      violations.add(`${path}.${name.slice(0, 40)}`, name, `must have a name of 1 to ${MAX_TRAIT_NAME} characters`);
      continue;
    }
    if (name.startsWith(LIST_TRAITS)) {
      violations.add(
        `${path}.${name.slice(0, 40)}`,
        name,
        `must not begin with "${LIST_TRAITS}": lists are kept by Recur`,
      );
      continue;
    }
    const fault = value === null ? undefined : tools.types.fault(name, value);
    if (fault !== undefined) violations.add(`${path}.${name.slice(0, 40)}`, value, fault);
    else if (value === null) read.push({ name, json: NULL, sealed: NONE });
    else if (tools.personal.has(name) || holdsPersonal(value)) {
      read.push({ name, json: NONE, sealed: tools.seal(JSON.stringify(value), subject) });
    } else read.push({ name, json: Buffer.from(JSON.stringify(value)), sealed: NONE });
  }
  return read;
}
