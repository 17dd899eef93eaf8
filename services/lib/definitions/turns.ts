/** One after the other: each is checked against what the one before left. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  run<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(work, work);
    this.#last = turn;
    return turn;
  }
}
