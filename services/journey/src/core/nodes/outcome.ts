import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import type { Exposure, SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { Event } from '#gen/recur/log/v1/event.ts';
import type { CompiledJourney, CompiledVersion } from '../compile.ts';
import type { Run } from '../run.ts';

/** One customer in one journey, at a moment. */
export interface Place {
  readonly run: Run;
  readonly journey: CompiledJourney;
  /** The version the customer entered. */
  readonly version: CompiledVersion;
  readonly enrolment: Enrolment;
}

/** What reaching a node leads to. Data; advance.ts carries it out. */
export type Outcome =
  | {
      readonly is: 'go';
      readonly next: string;
      /** Way or variant taken, where there are several. */
      readonly branch?: string;
      readonly reason?: string;
      readonly exposure?: Exposure;
      readonly send?: SendRequest;
      readonly derived?: Event;
    }
  /** Stays at the node; on at `dueMs` at the latest. */
  | { readonly is: 'stay'; readonly dueMs: number }
  | { readonly is: 'leave'; readonly reason: string };
