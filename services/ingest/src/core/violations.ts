/** One field that breaks a rule. */
export interface Violation {
  /** Place of the event in its request, from 0; -1 when the request itself is wrong. */
  readonly index: number;
  /** Path with dots, in the sender's names: `properties.products[2].price`. */
  readonly field: string;
  /** The value, shortened; for the sender's eyes only, never for a log. */
  readonly value: string;
  readonly rule: string;
}

const MAX_LISTED = 100;
const MAX_SHOWN = 64;
const MAX_FIELD = 200;

/** What is wrong with a request. Everything is counted, the first hundred are kept. */
export class Violations {
  readonly list: Violation[] = [];
  count = 0;
  /** The event looked at now. */
  index = -1;
  /** An event is too large as a whole. */
  oversized = false;

  add(field: string, value: unknown, rule: string): void {
    this.count++;
    if (this.list.length >= MAX_LISTED) return;
    this.list.push({ index: this.index, field: clip(field, MAX_FIELD), value: show(value), rule });
  }
}

/** A value as it may be shown: never long, never deep, always well-formed text. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(clip(value, MAX_SHOWN));
    case 'number':
    case 'boolean':
      return String(value);
    case 'undefined':
      return '(absent)';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? `(list of ${value.length})` : '(object)';
    default:
      return `(${typeof value})`;
  }
}

function clip(text: string, length: number): string {
  return (text.length > length ? `${text.slice(0, length)}…` : text).toWellFormed();
}
