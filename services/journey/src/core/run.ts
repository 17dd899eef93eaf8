import type { JourneyState } from '#gen/recur/journey/v1/state.ts';
import type { Exposure, SendRequest, Step } from '#gen/recur/log/v1/changes.ts';
import type { Event } from '#gen/recur/log/v1/event.ts';
import type { CompiledJourneys } from './compile.ts';

/** Everything one move of one customer depends on, and where its effects go. */
export interface Run {
  readonly now: number;
  readonly customerId: string;
  /** IANA name of the shop's time zone. */
  readonly timeZone: string;
  readonly journeys: CompiledJourneys;
  /** Place in the log of what is at hand; 0/0 when it is time, or a definition. */
  readonly at: { readonly seq: number; readonly index: number };
  readonly state: JourneyState;
  readonly effects: JourneyEffects;
  /** Plain text of a sealed value; undefined when it cannot be opened. */
  open(sealed: Uint8Array): string | undefined;
}

/** What journeys do. Data for the log and timers; nothing happens here. */
export interface JourneyEffects {
  step(step: Step): void;
  exposure(exposure: Exposure): void;
  send(request: SendRequest): void;
  /** What a journey says of the customer, to be told to everybody. */
  derive(event: Event): void;
  /** One timer per journey: a customer is in it once. Setting it again moves it. */
  setTimer(journeyId: string, dueMs: number): void;
  cancelTimer(journeyId: string): void;
}
