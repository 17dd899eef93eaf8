import type { EventMatch } from '#gen/recur/journey/v1/journey.ts';
import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import type { CompiledVersion } from '../compile.ts';
import { Facts } from '../expression/facts.ts';
import type { Run } from '../run.ts';
import { readTrigger } from '../trigger.ts';
import type { SeenEvent } from './seen.ts';

/** Holds an event against what a version of a journey waits for, for one customer. */
export class EventFit {
  /** Why an expression failed, the last one that did. */
  failure: string | undefined;
  readonly #event: SeenEvent;
  readonly #version: CompiledVersion;
  readonly #enrolment: Enrolment | undefined;
  readonly #facts: Facts;

  /** @param enrolment absent for those who are not, or no more, under way */
  constructor(run: Run, version: CompiledVersion, event: SeenEvent, enrolment?: Enrolment) {
    this.#event = event;
    this.#version = version;
    this.#enrolment = enrolment;
    this.#facts = new Facts(run, { event, enrolment });
  }

  /** Name, conditions and expression; the expression is not looked at unless the others hold. */
  of(match: EventMatch | undefined): boolean {
    if (match === undefined || !this.#event.matches(match, () => this.#trigger())) return false;
    if (match.expression === '') return true;
    const { holds, failure } = this.#version.expressions.get(match.expression)?.test(this.#facts) ?? { holds: false };
    if (failure !== undefined) this.failure = failure;
    return holds;
  }

  #trigger() {
    return this.#enrolment && readTrigger(this.#enrolment.triggerJson).properties;
  }
}
