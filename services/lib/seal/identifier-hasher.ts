import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { Recent } from '#lib/recent/recent.ts';
import type { KeyRing } from './keys.ts';

const MAX_TYPES = 32;

/**
 * The keyed hash that stands for an identifier everywhere outside ingest: HMAC-SHA256 of `type:value`, first 16 bytes.
 * Values must be normalised already (E.164 phone, lower-case e-mail …), or one person gets two hashes.
 *
 * Busy customers come again and again, so hashes are kept (those not used for long go first): a hit costs a tenth of a miss.
 */
export class IdentifierHasher {
  readonly #key: KeyObject;
  readonly #capacity: number;
  readonly #byType = new Map<string, Recent<Buffer>>();

  /** @param capacity hashes kept per identifier type, and at most twice as many; each costs about 200 bytes */
  constructor(keys: KeyRing, capacity = 25_000) {
    this.#key = createSecretKey(keys.active.bytes);
    this.#capacity = capacity;
  }

  /** 16 bytes. The buffer is shared with other callers: never write to it. */
  hash(type: string, normalised: string): Buffer {
    // One cache per type: looking up the value as it is spares building and hashing a joined string.
    const cache = this.#byType.get(type) ?? this.#addType(type);
    const known = cache?.get(normalised);
    if (known !== undefined) return known;
    const hash = createHmac('sha256', this.#key).update(`${type}:${normalised}`).digest().subarray(0, 16);
    cache?.set(normalised, hash);
    return hash;
  }

  #addType(type: string): Recent<Buffer> | undefined {
    // Types are few; whatever comes in beyond that is not kept, so memory stays bounded.
    if (this.#byType.size >= MAX_TYPES) return undefined;
    const cache = new Recent<Buffer>(this.#capacity);
    this.#byType.set(type, cache);
    return cache;
  }
}
