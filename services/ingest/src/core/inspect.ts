import { MAX_DEPTH } from './limits.ts';
import { isPersonalProperty } from './personal.ts';

/** An object as JSON.parse made it. The normaliser owns it and may change it. */
export type Json = Record<string, unknown>;

export interface Fault {
  field: string;
  readonly value: unknown;
  readonly rule: string;
}

/**
 * One walk over everything a sender wrote, before anything of it is used: depth, names that reach into prototypes, numbers
 * that JSON cannot hold exactly, text that cannot be stored. On the way it learns what later steps would need a walk of their
 * own for.
 */
export class Inspector {
  /** At least as many bytes as the value takes as compact JSON. */
  sizeBound = 0;
  /** Some name below the first level stands for something personal. */
  personal = false;
  #careful = false;

  /** @param careful look into every text (see needsCare) */
  inspect(value: Json, careful: boolean): Fault | undefined {
    this.sizeBound = 0;
    this.personal = false;
    this.#careful = careful;
    return this.#object(value, 1);
  }

  #object(value: Json, depth: number): Fault | undefined {
    if (depth > MAX_DEPTH) return tooDeep(value);
    let size = 2;
    for (const key in value) {
      const item = value[key];
      size += key.length * 6 + 4;
      if (key === '__proto__' || key === 'constructor' || (this.#careful && !storable(key))) {
        const fault = unsafeName(key, item);
        if (fault !== undefined) return fault;
      }
      if (depth > 1 && isPersonalProperty(key)) this.personal = true;
      if (typeof item === 'string') {
        size += item.length * 6 + 2;
        if (this.#careful && !storable(item)) return at(key, badText(item));
      } else if (typeof item === 'number') {
        size += 25;
        if (!exact(item)) return at(key, badNumber(item));
      } else if (typeof item === 'object' && item !== null) {
        const fault = Array.isArray(item) ? this.#list(item, depth + 1) : this.#object(item as Json, depth + 1);
        if (fault !== undefined) return at(key, fault);
      } else size += 5;
    }
    this.sizeBound += size;
    return undefined;
  }

  #list(list: readonly unknown[], depth: number): Fault | undefined {
    if (depth > MAX_DEPTH) return tooDeep(list);
    let size = 2;
    for (let i = 0; i < list.length; i++) {
      const item = list[i];
      size += 1;
      if (typeof item === 'string') {
        size += item.length * 6 + 2;
        if (this.#careful && !storable(item)) return at(i, badText(item));
      } else if (typeof item === 'number') {
        size += 25;
        if (!exact(item)) return at(i, badNumber(item));
      } else if (typeof item === 'object' && item !== null) {
        const fault = Array.isArray(item) ? this.#list(item, depth + 1) : this.#object(item as Json, depth + 1);
        if (fault !== undefined) return at(i, fault);
      } else size += 5;
    }
    this.sizeBound += size;
    return undefined;
  }
}

/** Whether JSON (its bytes known to be UTF-8) may hold NUL or lone surrogates: they can only stand in it as \u escapes. */
export function needsCare(json: string | Buffer): boolean {
  return json.includes('\\u');
}

function exact(value: number): boolean {
  // Whole numbers beyond 2^53 have already lost digits (ids, mostly); 1e309 has become Infinity.
  return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));
}

function storable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function unsafeName(key: string, value: unknown): Fault | undefined {
  if (key === '__proto__') return { field: key, value, rule: 'must not be named "__proto__"' };
  if (!storable(key)) return { field: printable(key), value, rule: 'must have a name without NUL and lone surrogates' };
  const inner = key === 'constructor' && typeof value === 'object' && value !== null;
  if (inner && Object.hasOwn(value, 'prototype')) {
    return {
      field: 'constructor.prototype',
      value: (value as Json).prototype,
      rule: 'must not be named "constructor.prototype"',
    };
  }
  return undefined;
}

function badText(value: string): Fault {
  return { field: '', value, rule: 'must be text without NUL and lone surrogates' };
}

function badNumber(value: number): Fault {
  const rule = Number.isFinite(value)
    ? 'must not be a whole number beyond ±9007199254740991: its digits are lost in JSON, send it as text'
    : 'must be a number that is not infinite';
  return { field: '', value, rule };
}

function tooDeep(value: unknown): Fault {
  return { field: '', value, rule: `must not be nested more than ${MAX_DEPTH} deep` };
}

/** Puts a step before the path of a fault. */
function at(step: string | number, fault: Fault): Fault {
  const name = typeof step === 'number' ? `[${step}]` : printable(step);
  const dot = fault.field === '' || fault.field.startsWith('[') ? '' : '.';
  fault.field = `${name}${dot}${fault.field}`;
  return fault;
}

function printable(name: string): string {
  return storable(name) ? name : JSON.stringify(name).slice(1, -1);
}
