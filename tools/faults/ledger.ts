/** One event as it was sent: what must be found everywhere, once. */
export interface Sent {
  readonly messageId: string;
  /** Number of the customer who did it. */
  readonly person: number;
  readonly what: 'identify' | 'signed_up' | 'viewed' | 'ordered';
  /** Hundredths of the currency; orders only. */
  readonly cents: number;
}

/**
 * What was sent, and what ingest said it had. Kept by the sender, from the sender's side alone: nothing in it comes from the
 * system it is held against.
 */
export class Ledger {
  readonly acknowledged = new Map<string, Sent>();
  /** Answered with an error, or not at all; the same request was sent again until it was acknowledged. */
  refusals = 0;
  /** Sent, and not acknowledged yet. */
  open = 0;

  acknowledge(events: readonly Sent[]): void {
    for (const event of events) this.acknowledged.set(event.messageId, event);
  }

  /** By person: what a profile must say. */
  byPerson(): Map<number, Expected> {
    const people = new Map<number, Expected>();
    for (const { person, what, cents } of this.acknowledged.values()) {
      const has = people.get(person) ?? { signedUp: 0, viewed: 0, ordered: 0, cents: 0 };
      if (what === 'signed_up') has.signedUp++;
      if (what === 'viewed') has.viewed++;
      if (what === 'ordered') {
        has.ordered++;
        has.cents += cents;
      }
      people.set(person, has);
    }
    return people;
  }
}

export interface Expected {
  signedUp: number;
  viewed: number;
  ordered: number;
  cents: number;
}
