import type { Identifier } from '#gen/recur/log/v1/event.ts';
import type { IdentifierValues } from '#lib/identifiers/values.ts';
import type { Json } from './inspect.ts';
import { MAX_EXTERNAL_IDS, MAX_IDENTIFIER } from './limits.ts';
import type { Violations } from './violations.ts';

export type DropReason = 'blocked' | 'unparsable';

/** What identifiers need from outside. */
export interface IdentifierTools {
  /** 16 bytes that stand for the identifier. */
  hash(type: string, normalised: string): Buffer;
  /** The types in force now. */
  values(): IdentifierValues;
  /** An identifier was left out: count it. */
  dropped(type: string, reason: DropReason): void;
}

const TYPE = /^[a-z][a-z0-9_]{0,31}$/;

/** The identifiers of one event, each once. Made once and used for one event after the other. */
export class IdentifierCollector {
  readonly #tools: IdentifierTools;
  readonly #types: string[] = [];
  readonly #values: string[] = [];

  constructor(tools: IdentifierTools) {
    this.#tools = tools;
  }

  reset(): void {
    this.#types.length = 0;
    this.#values.length = 0;
  }

  /** The first identifier, as something that tells customers apart within this process. */
  get subject(): string {
    return `${this.#types[0]}:${this.#values[0]}`;
  }

  finish(): Identifier[] {
    const identifiers: Identifier[] = [];
    for (let i = 0; i < this.#types.length; i++) {
      const type = this.#types[i] as string;
      identifiers.push({ type, hash: this.#tools.hash(type, this.#values[i] as string) });
    }
    return identifiers;
  }

  /**
   * Takes a value a sender gave as an identifier. Absent ones are fine; a wrong type is a violation; one that stands for
   * nobody is left out.
   * @returns the normalised value when it was taken
   */
  take(type: string, raw: unknown, field: string, violations: Violations): string | undefined {
    if (raw === undefined || raw === null) return undefined;
    const text = textOf(raw, field, violations);
    if (text === undefined) return undefined;
    const verdict = this.#tools.values().normalise(type, text);
    if ('dropped' in verdict) {
      this.#tools.dropped(type, verdict.dropped);
      return undefined;
    }
    this.#add(type, verdict.value);
    return verdict.value;
  }

  takeExternalIds(list: unknown, violations: Violations): void {
    if (list === undefined || list === null) return;
    const field = 'context.externalIds';
    if (!Array.isArray(list) || list.length > MAX_EXTERNAL_IDS) {
      violations.add(field, list, `must be a list of {type, id} with at most ${MAX_EXTERNAL_IDS} entries`);
      return;
    }
    for (let i = 0; i < list.length; i++) {
      const entry = list[i] as Json | null;
      if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
        violations.add(`${field}[${i}]`, entry, 'must be an object with type and id');
        continue;
      }
      const type = entry.type;
      if (typeof type !== 'string' || !TYPE.test(type)) {
        violations.add(`${field}[${i}].type`, type, 'must be 1 to 32 of a-z, 0-9 and "_", beginning with a letter');
      } else this.take(type, entry.id, `${field}[${i}].id`, violations);
    }
  }

  #add(type: string, value: string): void {
    for (let i = 0; i < this.#types.length; i++) if (this.#types[i] === type && this.#values[i] === value) return;
    this.#types.push(type);
    this.#values.push(value);
  }
}

function textOf(raw: unknown, field: string, violations: Violations): string | undefined {
  if (typeof raw === 'number') return String(raw);
  if (typeof raw !== 'string') {
    violations.add(field, raw, 'must be text');
    return undefined;
  }
  const text = raw.trim();
  if (text.length > MAX_IDENTIFIER) {
    violations.add(field, raw, `must be at most ${MAX_IDENTIFIER} characters`);
    return undefined;
  }
  return text;
}
