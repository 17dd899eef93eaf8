/** The surroundings are such that running would break a promise. The message says what to change. */
export class RefusalError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusalError';
  }
}
