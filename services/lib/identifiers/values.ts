import { hash } from 'node:crypto';
import { RE2JS } from 're2js';
import { type IdentifierType, Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';
import { Recent } from '#lib/recent/recent.ts';
import { isBlocked } from './blocked.ts';
import { normaliseEmail, type PhoneBook } from './contact.ts';
import type { IdentifierTypes } from './types.ts';

const HASHED = /^[0-9a-fA-F]{64}$/;
const DIGESTS = 20_000;

export type Verdict = { readonly value: string } | { readonly dropped: 'blocked' | 'unparsable' };

const BLOCKED: Verdict = { dropped: 'blocked' };
const UNPARSABLE: Verdict = { dropped: 'unparsable' };

/** Whether a phone number was given as its SHA-256. */
export const isHashed = (value: string): boolean => HASHED.test(value);

/** What values of each type look like, and which of them stand for nobody. */
export class IdentifierValues {
  readonly #types: IdentifierTypes;
  readonly #phones: PhoneBook;
  readonly #blocks = new Map<string, (value: string) => boolean>();
  readonly #digests = new Recent<string>(DIGESTS);

  constructor(types: IdentifierTypes, phones: PhoneBook) {
    this.#types = types;
    this.#phones = phones;
  }

  /** The one form of a value, trimmed already. */
  normalise(name: string, text: string): Verdict {
    if (isBlocked(text)) return BLOCKED;
    const type = this.#types.of(name);
    const value = this.#formOf(type, text);
    if (value === undefined) return UNPARSABLE;
    if (type.blockedValues.length + type.blockedPatterns.length === 0) return { value };
    return this.#blockOf(type)(value) ? BLOCKED : { value };
  }

  /** What is hashed: of phone numbers the SHA-256, so that a hashed one is the same. */
  matched(name: string, value: string): string {
    return this.#digestOf(this.#types.of(name), value);
  }

  #digestOf(type: IdentifierType, value: string): string {
    if (type.normalisation !== Normalisation.NORMALISATION_PHONE || HASHED.test(value)) return value;
    const known = this.#digests.get(value);
    if (known !== undefined) return known;
    const digest = hash('sha256', value, 'hex');
    this.#digests.set(value, digest);
    return digest;
  }

  #formOf(type: IdentifierType, text: string): string | undefined {
    switch (type.normalisation) {
      case Normalisation.NORMALISATION_EMAIL:
        return normaliseEmail(text);
      case Normalisation.NORMALISATION_PHONE:
        return HASHED.test(text) ? text.toLowerCase() : this.#phones.normalise(text);
      case Normalisation.NORMALISATION_LOWER_CASE:
        return text.toLowerCase();
      case Normalisation.NORMALISATION_ALPHANUMERIC:
        return text.toUpperCase().replace(/[^\p{L}\p{N}]/gu, '') || undefined;
      default:
        return text;
    }
  }

  #blockOf(type: IdentifierType): (value: string) => boolean {
    const known = this.#blocks.get(type.id);
    if (known !== undefined) return known;
    const values = new Set(
      type.blockedValues.flatMap((v) => {
        const form = this.#formOf(type, v.trim()) ?? v;
        // A hashed phone number is blocked as the number is.
        return [form, this.#digestOf(type, form)];
      }),
    );
    // Only patterns that compile are ever stored; RE2 takes time in proportion to the value, whatever the pattern.
    const patterns = type.blockedPatterns.map((p) => RE2JS.compile(p));
    const block = (value: string) => values.has(value) || patterns.some((p) => p.matcher(value).find());
    this.#blocks.set(type.id, block);
    return block;
  }
}

/** Why a pattern cannot be used; undefined when it can. */
export function patternFault(pattern: string): string | undefined {
  try {
    // What matches the empty text matches everywhere.
    return RE2JS.compile(pattern).matcher('').find() ? 'would block every value' : undefined;
  } catch (error) {
    return `is no RE2 pattern: ${(error as Error).message.slice(0, 200)}`;
  }
}
