import { Optional } from '@marcbachmann/cel-js';
import { costlyPart, LANGUAGES, MAX_CHARACTERS, namesRead, type Scope } from './language.ts';

/** What an expression gave, or why it failed. */
export type Result = { readonly value: unknown } | { readonly failure: string };

const MAX_FAILURE = 120;

/** An expression of a definition, made ready once. Pure: what it gives depends on the facts alone. */
export class Expression {
  /** Properties of the trigger it names. */
  readonly triggerNames: ReadonlySet<string>;
  readonly #run: (facts: object) => unknown;

  /** @param text validated for where it stands, by `expressionFault`; any other fails whenever it is asked */
  constructor(text: string) {
    try {
      const run = LANGUAGES['event under way'].parse(text);
      this.#run = run;
      this.triggerNames = namesRead(run.ast, 'trigger');
    } catch (error) {
      this.#run = () => {
        throw error;
      };
      this.triggerNames = new Set();
    }
  }

  evaluate(facts: object): Result {
    try {
      return { value: this.#run(facts) };
    } catch (error) {
      return { failure: summaryOf(error).slice(0, MAX_FAILURE) };
    }
  }

  /** A failure, or anything but a boolean, counts as false. */
  test(facts: object): { readonly holds: boolean; readonly failure?: string } {
    const result = this.evaluate(facts);
    if ('failure' in result) return { holds: false, failure: result.failure };
    const { value } = result;
    return typeof value === 'boolean' ? { holds: value } : { holds: false, failure: 'gives no boolean' };
  }
}

export type Wanted = 'boolean' | 'value';

/** What is wrong with an expression, with the character it begins at; undefined when nothing is. */
export function expressionFault(text: string, scope: Scope, wanted: Wanted): string | undefined {
  if (text === '' || text.length > MAX_CHARACTERS) return `must be an expression of 1 to ${MAX_CHARACTERS} characters`;
  const language = LANGUAGES[scope];
  const { valid, type = 'dyn', error } = language.check(text);
  if (!valid) return `character ${(error?.range?.start ?? 0) + 1}: ${summaryOf(error)}`.slice(0, 2 * MAX_FAILURE);
  const costly = costlyPart(language.parse(text).ast);
  if (costly !== undefined) return `character ${costly.start + 1}: ${costly.rule}`;
  if (wanted === 'boolean' && type !== 'bool' && type !== 'dyn') return `must give a boolean, not ${type}`;
  return undefined;
}

function summaryOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message?: string };
  return (summary ?? message ?? String(error)).split('\n', 1)[0] ?? '';
}

/** As JSON has it; undefined for what JSON has nothing like. */
export function plainValue(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : undefined;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  if (value instanceof Optional) return value.hasValue() ? plainValue(value.value()) : undefined;
  if (typeof value !== 'object') return undefined;
  if (Array.isArray(value)) {
    const items = value.map(plainValue);
    return items.includes(undefined) ? undefined : items;
  }
  // A duration, or bytes.
  if (!(value instanceof Map) && Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const plain = entries.map(([name, part]) => [String(name), plainValue(part)] as const);
  return plain.some(([, part]) => part === undefined) ? undefined : Object.fromEntries(plain);
}
