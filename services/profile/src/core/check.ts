import type { Range } from '#gen/recur/segmentation/v1/rule.ts';
import type { ValueTest } from './computed/value-test.ts';

/** What is wrong, and where: `where[2].number.at_least`. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

const MAX_VIOLATIONS = 20;
const MAX_VALUES = 100;
const MAX_VALUE_LENGTH = 500;

/** Collects what is wrong with a definition; stops telling after 20. */
export class Check {
  readonly violations: Violation[] = [];

  fail(field: string, description: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ field, description });
  }

  names({ englishName, chineseName, description = '' }: Named): void {
    this.length('english_name', englishName, 0, 200);
    this.length('chinese_name', chineseName, 0, 200);
    this.length('description', description, 0, 2_000);
    if (englishName === '' && chineseName === '') this.fail('english_name', 'must be set, or chinese_name');
  }

  /** Exactly one of the tests. */
  test(at: string, test: ValueTest): void {
    const set = [
      test.equals !== undefined && 'equals',
      test.in.length > 0 && 'in',
      test.exists !== undefined && 'exists',
      test.number !== undefined && 'number',
      test.contains !== '' && 'contains',
    ].filter((name) => name !== false);
    if (set.length !== 1) {
      const found = set.length === 0 ? 'none is set' : `${set.join(' and ')} are set`;
      this.fail(at, `exactly one of equals, in, exists, number, contains must be set; ${found}`);
    }
    if (test.equals !== undefined) this.#scalar(`${at}.equals`, test.equals);
    if (test.in.length > MAX_VALUES) this.fail(`${at}.in`, `has ${test.in.length} values, at most ${MAX_VALUES}`);
    else for (const [i, value] of test.in.entries()) this.#scalar(`${at}.in[${i}]`, value);
    if (test.number !== undefined) this.#range(`${at}.number`, test.number);
    this.length(`${at}.contains`, test.contains, 0, 200);
  }

  #scalar(at: string, value: unknown): void {
    if (typeof value === 'string') this.length(at, value, 0, MAX_VALUE_LENGTH);
    else if (typeof value !== 'boolean' && !(typeof value === 'number' && Number.isFinite(value))) {
      this.fail(at, 'must be a string, a finite number or a boolean');
    }
  }

  #range(at: string, { atLeast, atMost, moreThan, lessThan }: Range): void {
    const bounds = { at_least: atLeast, at_most: atMost, more_than: moreThan, less_than: lessThan };
    const given = Object.entries(bounds).filter(([, value]) => value !== undefined);
    if (given.length === 0) this.fail(at, 'at least one of at_least, at_most, more_than, less_than must be given');
    for (const [name, value] of given) {
      if (!Number.isFinite(value)) this.fail(`${at}.${name}`, `${value} must be a finite number`);
    }
    const lower = Math.max(atLeast ?? -Infinity, moreThan ?? -Infinity);
    const upper = Math.min(atMost ?? Infinity, lessThan ?? Infinity);
    const open = lower === moreThan || upper === lessThan;
    if (lower > upper || (lower === upper && open)) this.fail(at, `no number is within ${lower} and ${upper} as given`);
  }

  count(at: string, count: number, min: number, max: number): void {
    if (count < min || count > max) this.fail(at, `has ${count}, must have ${min} to ${max}`);
  }

  integer(at: string, value: number, min: number, max: number): void {
    if (Number.isInteger(value) && value >= min && value <= max) return;
    this.fail(at, `${value} must be a whole number between ${min} and ${max}`);
  }

  length(at: string, text: string, min: number, max: number): void {
    if (text.length >= min && text.length <= max) return;
    const rule = min === 0 ? `at most ${max}` : `${min} to ${max}`;
    this.fail(at, `${text === '' ? 'must not be empty: ' : ''}must have ${rule} characters, it has ${text.length}`);
  }
}

interface Named {
  readonly englishName: string;
  readonly chineseName: string;
  readonly description?: string;
}
