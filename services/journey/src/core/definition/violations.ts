import type { Violation } from '#gen/recur/journey/v1/service.ts';

/** Beyond this many an author has enough to do. */
const MAX_VIOLATIONS = 50;

/** Collects what is wrong with a journey, each with its position. */
export class Violations {
  readonly found: Violation[] = [];

  add(field: string, description: string): void {
    if (this.found.length < MAX_VIOLATIONS) this.found.push({ field, description });
  }

  /** Adds the violation unless `holds`; tells whether it holds. */
  check(holds: boolean, field: string, description: string): boolean {
    if (!holds) this.add(field, description);
    return holds;
  }
}
