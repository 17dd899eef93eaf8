import { type Decision, DecisionOutcome, type Exposure, type Step, StepAction } from '#gen/recur/log/v1/changes.ts';
import type { Observer } from './world.ts';

/** Counts of one day of the shop; a reason names what the services said. */
export interface Day {
  readonly day: string;
  entered: number;
  converted: number;
  left: number;
  sent: number;
  deferred: number;
  dropped: number;
}

export interface JourneyTally {
  readonly id: string;
  readonly days: Day[];
  readonly totals: Omit<Day, 'day'>;
  /** Still in it when time ends. */
  readonly waiting: number;
  readonly refusedToEnter: Counts;
  readonly leftBecause: Counts;
  readonly deferredBecause: Counts;
  readonly droppedBecause: Counts;
  readonly nodes: Counts;
  /** `experiment variant`. */
  readonly variants: Counts;
}

export type Counts = Readonly<Record<string, number>>;

/** A message that would have gone out, or not. */
export interface Message {
  readonly customerId: string;
  readonly timeMs: number;
  readonly key: string;
  readonly journeyId: string;
  readonly nodeId: string;
  readonly channel: string;
  readonly outcome: 'send' | 'defer' | 'drop';
  readonly reason: string;
}

const OUTCOMES: Partial<Record<DecisionOutcome, Message['outcome']>> = {
  [DecisionOutcome.DECISION_OUTCOME_SEND]: 'send',
  [DecisionOutcome.DECISION_OUTCOME_DEFER]: 'defer',
  [DecisionOutcome.DECISION_OUTCOME_DROP]: 'drop',
};

const NOTHING = { entered: 0, converted: 0, left: 0, sent: 0, deferred: 0, dropped: 0 };
type Figure = keyof typeof NOTHING;

/** Adds up what a run tells, by journey and day. Memory grows with journeys and days, not with customers. */
export class Tally implements Observer {
  readonly refusals = new Map<string, number>();
  readonly #journeys = new Map<string, OneJourney>();
  readonly #dayOf: (timeMs: number) => string;
  readonly #onMessage: ((message: Message) => void) | undefined;

  /** @param onMessage told of every decision on a message */
  constructor(timeZone: string, onMessage?: (message: Message) => void) {
    this.#dayOf = dayIn(timeZone);
    this.#onMessage = onMessage;
  }

  step(_customerId: string, timeMs: number, { journeyId, action, nodeId, reason }: Step): void {
    const journey = this.#journey(journeyId);
    const count = (figure: Figure) => journey.count(this.#dayOf(timeMs), figure);
    if (action === StepAction.STEP_ACTION_ENROLLED) {
      count('entered');
      journey.inside++;
    } else if (action === StepAction.STEP_ACTION_EXITED) {
      count('left');
      journey.inside--;
      add(journey.left, reason);
    } else if (action === StepAction.STEP_ACTION_CONVERTED) count('converted');
    else if (action === StepAction.STEP_ACTION_REFUSED) add(journey.refused, reason);
    else if (action === StepAction.STEP_ACTION_REACHED) add(journey.nodes, nodeId);
  }

  exposure(_customerId: string, _timeMs: number, { journeyId, experimentId, variant }: Exposure): void {
    add(this.#journey(journeyId).variants, `${experimentId} ${variant}`);
  }

  decision(customerId: string, timeMs: number, decision: Decision): void {
    const { journeyId, nodeId, channel, reason, idempotencyKey: key } = decision;
    const outcome = OUTCOMES[decision.outcome];
    if (outcome === undefined) return;
    const journey = this.#journey(journeyId);
    journey.count(this.#dayOf(timeMs), outcome === 'send' ? 'sent' : outcome === 'defer' ? 'deferred' : 'dropped');
    if (outcome === 'defer') add(journey.deferred, reason);
    if (outcome === 'drop') add(journey.dropped, reason);
    this.#onMessage?.({ customerId, timeMs, key, journeyId, nodeId, channel, outcome, reason });
  }

  refused(_customerId: string, _at: string, reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }

  /** Journeys in the order of their ids. */
  get journeys(): JourneyTally[] {
    return [...this.#journeys.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map((journey) => journey.tally());
  }

  #journey(id: string): OneJourney {
    let journey = this.#journeys.get(id);
    if (journey === undefined) {
      journey = new OneJourney(id);
      this.#journeys.set(id, journey);
    }
    return journey;
  }
}

class OneJourney {
  readonly id: string;
  readonly refused = new Map<string, number>();
  readonly left = new Map<string, number>();
  readonly deferred = new Map<string, number>();
  readonly dropped = new Map<string, number>();
  readonly nodes = new Map<string, number>();
  readonly variants = new Map<string, number>();
  inside = 0;
  readonly #days = new Map<string, Day>();
  readonly #totals = { ...NOTHING };

  constructor(id: string) {
    this.id = id;
  }

  count(day: string, figure: Figure): void {
    const known = this.#days.get(day) ?? { day, ...NOTHING };
    known[figure]++;
    this.#days.set(day, known);
    this.#totals[figure]++;
  }

  tally(): JourneyTally {
    const counts = (map: ReadonlyMap<string, number>) =>
      Object.fromEntries([...map].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
    return {
      id: this.id,
      days: [...this.#days.values()].sort((a, b) => (a.day < b.day ? -1 : 1)),
      totals: this.#totals,
      waiting: this.inside,
      refusedToEnter: counts(this.refused),
      leftBecause: counts(this.left),
      deferredBecause: counts(this.deferred),
      droppedBecause: counts(this.dropped),
      nodes: counts(this.nodes),
      variants: counts(this.variants),
    };
  }
}

function add(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

/** The shop's date of a moment, as 2026-03-01. Dates are looked up by the quarter of an hour: zones shift by no less. */
export function dayIn(timeZone: string): (timeMs: number) => string {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const known = new Map<number, string>();
  return (timeMs) => {
    const quarter = Math.floor(timeMs / 900_000);
    let day = known.get(quarter);
    if (day === undefined) {
      day = format.format(quarter * 900_000);
      known.set(quarter, day);
    }
    return day;
  };
}
