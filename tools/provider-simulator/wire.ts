import type { IncomingHttpHeaders } from 'node:http';
import type { Behaviour, Fate } from './behaviour.ts';

/** A message a provider took: what it would bill. */
export interface Accepted {
  readonly provider: string;
  /** The number, or the path, it went to. */
  readonly to: string;
  /** What Recur put there to know it again. */
  readonly reference: string;
  readonly providerId: string;
  readonly atMs: number;
  /** As the provider understood it. */
  readonly content: unknown;
}

export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The same, where it is no text. */
  readonly bytes: Buffer;
  readonly http2?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  /** As JSON; undefined: none. */
  readonly body: unknown;
  /** As the record counts it; the status when left out. */
  readonly what?: string;
}

/** What a wire gets to work with. */
export interface Desk {
  readonly behaviour: Behaviour;
  /** Drawn for this call. */
  readonly fate: Fate;
  /** Every message taken so far. */
  readonly accepted: readonly Accepted[];
  accept(message: Omit<Accepted, 'atMs'>): void;
}

/** One provider's protocol. */
export interface Wire {
  readonly provider: string;
  takes(call: Call): boolean;
  /** Undefined: nothing is answered, the connection is cut. */
  answer(call: Call, desk: Desk): Answer | undefined;
  /** What it tells about a message later, and how: the body of a POST. */
  receipt?(message: Accepted, bounced: boolean): unknown;
  /** The same where it is no plain JSON, or signed. */
  push?(message: Accepted, bounced: boolean): Push;
}

/** A POST a provider makes by itself. */
export interface Push {
  readonly query: Readonly<Record<string, string>>;
  /** Content type. */
  readonly type: string;
  readonly body: string;
}
