/** Bytes of messages that wait, from which on no more are let in. */
const MOST_BYTES = 256 * 1024;

/** Messages of a client stream, for the handler to read. */
export class Inbox implements AsyncIterableIterator<unknown> {
  readonly #read: (message: Buffer) => unknown;
  readonly #consume: (bytes: number) => void;
  #messages: Buffer[] = [];
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
    this.#bytes += message.length;
    this.#wake();
  }

  end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    // A client that goes away in the middle has not finished: what it sent is as good as nothing.
    if (error !== undefined) this.#messages = [];
    this.#wake();
  }

  async next(): Promise<IteratorResult<unknown>> {
    while (this.#messages.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#waiting = { resolve };
      });
    }
    const message = this.#messages.shift() as Buffer;
    this.#bytes -= message.length;
    this.#settle();
    return { done: false, value: this.#read(message) };
  }

  /** The handler reads no more: what still comes is let in and forgotten. */
  async return(): Promise<IteratorResult<unknown>> {
    this.#over = true;
    this.#messages = [];
    this.#bytes = 0;
    this.#settle();
    return { done: true, value: undefined };
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
