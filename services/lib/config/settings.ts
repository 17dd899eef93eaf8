import { readFileSync } from 'node:fs';

/** One setting that cannot be used: its name, its value as far as it may be shown, and the rule it breaks. */
export interface Problem {
  readonly name: string;
  readonly value: string;
  readonly rule: string;
}

export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(`Bad configuration:\n${problems.map((p) => `  ${p.name} = ${p.value}: ${p.rule}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

interface TextRule {
  readonly pattern?: RegExp;
  /** In words, for the error. */
  readonly rule?: string;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

interface Otherwise<D> {
  /** Used when the variable is absent or empty; without it the variable is required. */
  readonly otherwise: D;
}

/**
 * Reads typed values from the environment and collects everything that is wrong, so that one start names all of it.
 * Values that turned out bad are returned as placeholders: call `finish` before using any.
 */
export class Settings {
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #problems: Problem[] = [];

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  text(name: string, rule?: TextRule): string;
  text<D>(name: string, rule: TextRule & Otherwise<D>): string | D;
  text(name: string, rule: TextRule & Partial<Otherwise<unknown>> = {}): unknown {
    return this.#read(name, rule, '', (value) => {
      if (rule.pattern?.test(value) === false) throw new Error(rule.rule ?? `must match ${rule.pattern}`);
      return value;
    });
  }

  integer(name: string, rule: Range): number;
  integer<D>(name: string, rule: Range & Otherwise<D>): number | D;
  integer(name: string, rule: Range & Partial<Otherwise<unknown>>): unknown {
    return this.#read(name, rule, 0, (value) => {
      const number = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
      if (!(number >= rule.min && number <= rule.max)) {
        throw new Error(`must be a whole number from ${rule.min} to ${rule.max}`);
      }
      return number;
    });
  }

  oneOf<V extends string>(name: string, values: readonly V[]): V;
  oneOf<V extends string, D>(name: string, values: readonly V[], rule: Otherwise<D>): V | D;
  oneOf(name: string, values: readonly string[], rule: Partial<Otherwise<unknown>> = {}): unknown {
    return this.#read(name, rule, values[0], (value) => {
      if (!values.includes(value)) throw new Error(`must be one of ${values.join(', ')}`);
      return value;
    });
  }

  /** A URL with one of `protocols` ('redis:'). Only its form without user and password ever appears in an error. */
  url(name: string, protocols: readonly string[]): string;
  url<D>(name: string, protocols: readonly string[], rule: Otherwise<D>): string | D;
  url(name: string, protocols: readonly string[], rule: Partial<Otherwise<unknown>> = {}): unknown {
    const check = (value: string): string => {
      // NATS takes several servers, separated by commas.
      for (const part of value.split(',')) {
        const url = URL.canParse(part.trim()) ? new URL(part.trim()) : undefined;
        if (url === undefined || !protocols.includes(url.protocol) || url.hostname === '') {
          throw new Error(`must be a URL with ${protocols.map((p) => `${p}//`).join(' or ')}`);
        }
      }
      return value;
    };
    return this.#read(name, rule, '', check, withoutCredentials);
  }

  /** host:port */
  address(name: string): string;
  address<D>(name: string, rule: Otherwise<D>): string | D;
  address(name: string, rule: Partial<Otherwise<unknown>> = {}): unknown {
    return this.#read(name, rule, '', (value) => {
      const port = /^(?:[\w.-]+|\[[\da-f:]+\]):(\d{1,5})$/i.exec(value)?.[1];
      if (port === undefined || Number(port) < 1 || Number(port) > 65_535) throw new Error('must be host:port');
      return value;
    });
  }

  /** The name of a file whose content `parse` turns into something. What `parse` throws must not quote the content. */
  file<T>(name: string, parse: (content: string) => T): T;
  file<T, D>(name: string, parse: (content: string) => T, rule: Otherwise<D>): T | D;
  file(name: string, parse: (content: string) => unknown, rule: Partial<Otherwise<unknown>> = {}): unknown {
    return this.#read(name, rule, undefined, (path) => {
      let content: string;
      try {
        content = readFileSync(path, 'utf8');
      } catch (error) {
        throw new Error(`the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
      }
      return parse(content);
    });
  }

  /** Add a problem that concerns several settings or needs another look. @param display for values that may hold a secret */
  problem(name: string, rule: string, display: (value: string) => string = show): void {
    this.#problems.push({ name, value: display(this.#env[name] ?? ''), rule });
  }

  /** An optional setting that turned out to be needed. */
  missing(name: string): void {
    // A setting that is there but bad has been reported already.
    if (this.#problems.some((problem) => problem.name === name)) return;
    this.#problems.push({ name, value: '(not set)', rule: 'is required' });
  }

  /** Throws a ConfigError that lists everything wrong so far. */
  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
  }

  #read(
    name: string,
    rule: Partial<Otherwise<unknown>>,
    placeholder: unknown,
    parse: (value: string) => unknown,
    display: (value: string) => string = show,
  ): unknown {
    const value = this.#env[name]?.trim() ?? '';
    if (value === '') {
      if ('otherwise' in rule) return rule.otherwise;
      this.#problems.push({ name, value: '(not set)', rule: 'is required' });
      return placeholder;
    }
    try {
      return parse(value);
    } catch (error) {
      this.#problems.push({ name, value: display(value), rule: (error as Error).message });
      return placeholder;
    }
  }
}

function show(value: string | undefined): string {
  if (value === undefined || value === '') return '(not set)';
  return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value);
}

/** The URL as it may be shown in logs and errors: user, password and parameters taken out. */
export function withoutCredentials(value: string): string {
  const hide = (part: string) => part.replace(/\/\/[^/]*@/, '//***@').replace(/\?.*$/, '?***');
  return show(value.split(',').map(hide).join(','));
}
