/** Bytes of messages that wait, from which on no more are let in; and what one counts for beside its own. */
const MOST_BYTES = 256 * 1024;
const OVERHEAD = 64;

/** Messages of a client stream, for the handler to read. */
export class Inbox implements AsyncIterableIterator<unknown> {
  readonly #read: (message: Buffer) => unknown;
  readonly #consume: (bytes: number) => void;
  /** Those before `#first` were read. */
  #messages: Buffer[] = [];
  #first = 0;
  #bytes = 0;
  /** What came and is not told as consumed. */
  #owed = 0;
  #over = false;
  #error: unknown;
  #waiting: { resolve: () => void } | undefined;

  /** @param consume as many bytes more may come */
  constructor(read: (message: Buffer) => unknown, consume: (bytes: number) => void) {
    this.#read = read;
    this.#consume = consume;
  }

  /** Bytes of frames came; the messages in them were put here before. */
  received(bytes: number): void {
    this.#owed += bytes;
    this.#settle();
  }

  put(message: Buffer): void {
    if (this.#over) return;
    this.#messages.push(message);
    this.#bytes += message.length + OVERHEAD;
    this.#wake();
  }

  end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    // A client that goes away in the middle has not finished: what it sent is as good as nothing.
    if (error !== undefined) this.#drop();
    this.#wake();
  }

  async next(): Promise<IteratorResult<unknown>> {
    while (this.#first === this.#messages.length) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#waiting = { resolve };
      });
    }
    const message = this.#messages[this.#first++] as Buffer;
    this.#bytes -= message.length + OVERHEAD;
    if (this.#first === this.#messages.length) this.#drop();
    this.#settle();
    return { done: false, value: this.#read(message) };
  }

  /** The handler reads no more: what still comes is let in and forgotten. */
  async return(): Promise<IteratorResult<unknown>> {
    this.#over = true;
    this.#drop();
    this.#settle();
    return { done: true, value: undefined };
  }

  #drop(): void {
    this.#messages = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #settle(): void {
    if (this.#bytes > MOST_BYTES || this.#owed === 0) return;
    const owed = this.#owed;
    this.#owed = 0;
    this.#consume(owed);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve();
  }
}
