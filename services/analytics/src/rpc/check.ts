import { type FieldViolation, invalidArgument } from '#lib/rpc/errors.ts';

/** Refuses a request, naming every field whose rule is broken. */
export function check(rules: readonly (readonly [broken: boolean, field: string, description: string])[]): void {
  const violations: FieldViolation[] = rules
    .filter(([broken]) => broken)
    .map(([, field, description]) => ({ field, description }));
  if (violations.length > 0) throw invalidArgument(violations);
}
