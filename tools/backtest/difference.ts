import type { Message } from './tally.ts';

/** How two runs differ in what customers get. */
export interface Difference {
  /** Customers who get a message in both runs, only in the first, only in the second. */
  readonly both: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Messages more or fewer in the second run. */
  readonly messages: number;
}

/** Follows two runs customer by customer: each customer is played in both before the next. */
export class Comparison {
  #customerId = '';
  #first = 0;
  #second = 0;
  #difference = { both: 0, onlyFirst: 0, onlySecond: 0, messages: 0 };

  readonly first = (message: Message): void => {
    if (this.#counts(message)) this.#first++;
  };

  readonly second = (message: Message): void => {
    if (this.#counts(message)) this.#second++;
  };

  end(): Difference {
    this.#close();
    return { ...this.#difference };
  }

  #counts({ customerId, outcome }: Message): boolean {
    if (outcome !== 'send') return false;
    if (customerId !== this.#customerId) this.#close();
    this.#customerId = customerId;
    return true;
  }

  #close(): void {
    const { both, onlyFirst, onlySecond, messages } = this.#difference;
    this.#difference = {
      both: both + (this.#first > 0 && this.#second > 0 ? 1 : 0),
      onlyFirst: onlyFirst + (this.#first > 0 && this.#second === 0 ? 1 : 0),
      onlySecond: onlySecond + (this.#first === 0 && this.#second > 0 ? 1 : 0),
      messages: messages + this.#second - this.#first,
    };
    this.#first = 0;
    this.#second = 0;
  }
}
