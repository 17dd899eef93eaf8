import { randomUUID } from 'node:crypto';
import type { IdentifierValues } from '#lib/identifiers/values.ts';
import { Recent } from '#lib/recent/recent.ts';
import type { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import type { Sealer } from '#lib/seal/sealer.ts';
import type { TraitTypes } from '#lib/traits/trait-types.ts';
import type { DropReason } from './core/identifiers.ts';
import type { Tools } from './core/normalise.ts';

/** At most twice as many: about 20 MB, for values of traits are short. */
const SEALED_KEPT = 25_000;
const MAX_KEPT_LENGTH = 256;

/** What the normaliser needs of the world: keys, randomness, counters. */
export function toolsOf(
  hasher: IdentifierHasher,
  sealer: Sealer,
  values: () => IdentifierValues,
  dropped: (type: string, reason: DropReason) => void,
  traitTypes: TraitTypes,
): Tools {
  // Shops repeat the same identify with every visit. The same customer's same value keeps its sealed bytes, which is a tenth
  // of the work, and downstream nothing seems to have changed. Never across customers: equal bytes would tell that two people
  // share a name.
  const sealed = new Recent<Buffer>(SEALED_KEPT);
  return {
    hash: (type, normalised) => hasher.hash(type, values().matched(type, normalised)),
    values,
    seal: (json, subject) => {
      if (json.length > MAX_KEPT_LENGTH) return sealer.seal(json);
      const key = `${subject}\n${json}`;
      const known = sealed.get(key);
      if (known !== undefined) return known;
      const bytes = sealer.seal(json);
      sealed.set(key, bytes);
      return bytes;
    },
    dropped,
    newMessageId: () => `recur-${randomUUID()}`,
    traitTypes,
  };
}
