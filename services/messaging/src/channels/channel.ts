import type { SendWork } from '#gen/recur/messaging/v1/state.ts';

/**
 * What a call came to. The difference that matters is between `later` (the provider said no, or was never given the
 * message: trying again cannot send it twice) and `lost` (it was given the message and did not answer: it may have it).
 */
export type CallResult =
  | { readonly kind: 'accepted'; readonly providerId: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'later'; readonly reason: string; readonly reached: boolean }
  | { readonly kind: 'lost'; readonly reason: string };

/**
 * What a provider says about a message nobody had an answer for. Only `has not` may be followed by another call; a
 * provider that shows messages some time after it took them says `not seen`.
 */
export type Found =
  | { readonly kind: 'has'; readonly providerId: string; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'has not' }
  | { readonly kind: 'not seen' };

/** One message to one customer, as the processor decided it. */
export interface Send {
  /** Idempotency key. */
  readonly key: string;
  readonly customerId: string;
  readonly work: SendWork;
}

/** Why no message could be written. `reason` goes into the log of deliveries: it never holds a value. */
export class ComposeError extends Error {
  readonly reason: string;
  constructor(reason: string, cause?: unknown) {
    super(reason, { cause });
    this.reason = reason;
  }
}

/** One way to reach customers: a provider, and how its messages are written. Knows nothing of retries. */
export interface Channel<Message = unknown> {
  /** As templates and requests name it. */
  readonly name: string;
  /** Calls under way at a time. */
  readonly connections: number;
  /** Calls begun a second at most; none when left out. */
  readonly perSecond?: number | undefined;
  /**
   * Where the provider sends no second message with the same id, as long as the calls are no further apart than this, in
   * milliseconds: a call without an answer is simply made again. Absent where it makes no such promise.
   */
  readonly repeatableMs?: number | undefined;
  /** Writes the message. @throws ComposeError */
  compose(send: Send): Message;
  /** Hands it to the provider, under an id that is the same for every attempt where the provider takes one. Never rejects. */
  call(message: Message): Promise<CallResult>;
  /** Asks the provider what became of a message; absent where it cannot be asked. @throws when it gives no clear answer */
  readonly find?: ((send: Send) => Promise<Found>) | undefined;
  close(): void;
}
