import type { Range } from '#gen/recur/segmentation/v1/rule.ts';

/** The tests of a property or a figure, as their messages have them. Exactly one is set. */
export interface ValueTest {
  readonly equals?: unknown;
  readonly in: readonly unknown[];
  readonly exists?: boolean | undefined;
  readonly number?: Range | undefined;
  readonly contains: string;
}

export type Scalar = string | number | boolean;

/** Whether values (none: it is not known) pass. Several pass when one of them does. */
export type Passes = (values: readonly Scalar[]) => boolean;

export function compileTest(test: ValueTest): Passes {
  if (test.exists !== undefined) {
    const { exists } = test;
    return (values) => values.length > 0 === exists;
  }
  if (test.number !== undefined) {
    const { number } = test;
    return some((value) => typeof value === 'number' && inRange(value, number));
  }
  if (test.contains !== '') {
    const part = test.contains.toLowerCase();
    return some((value) => typeof value === 'string' && value.toLowerCase().includes(part));
  }
  const wanted = new Set(test.equals === undefined ? test.in : [test.equals]);
  return some((value) => wanted.has(value));
}

const some =
  (passes: (value: Scalar) => boolean): Passes =>
  (values) => {
    for (let i = 0; i < values.length; i++) if (passes(values[i] as Scalar)) return true;
    return false;
  };

export function inRange(value: number, { atLeast, atMost, moreThan, lessThan }: Range): boolean {
  if (atLeast !== undefined && !(value >= atLeast)) return false;
  if (atMost !== undefined && !(value <= atMost)) return false;
  if (moreThan !== undefined && !(value > moreThan)) return false;
  return lessThan === undefined || value < lessThan;
}

const NONE: readonly Scalar[] = [];

/** The scalars of a JSON value: itself, or those of a list. Null, empty text and objects are none. */
export function scalarsOf(value: unknown): readonly Scalar[] {
  if (Array.isArray(value)) return value.flatMap((one) => (isScalar(one) ? [one] : []));
  return isScalar(value) ? [value] : NONE;
}

function isScalar(value: unknown): value is Scalar {
  if (typeof value === 'string') return value !== '';
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}
