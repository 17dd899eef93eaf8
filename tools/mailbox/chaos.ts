/**
 * Trouble on request, to test senders with. A number below 1 is a share of the mails, chosen at random (0.1: every
 * tenth); a whole number is that many mails, beginning with the next one.
 */
export interface ChaosSettings {
  /** The mail is stored, and the connection is cut before the answer: the sender cannot know. */
  loseAnswer: number;
  /** The mail is not stored, and is answered with 451 (try again later). */
  refuse: number;
  /** The answer comes this much later. */
  delayMs: number;
}

const CALM: ChaosSettings = { loseAnswer: 0, refuse: 0, delayMs: 0 };

export class Chaos {
  #settings: ChaosSettings = { ...CALM };

  get settings(): ChaosSettings {
    return { ...this.#settings };
  }

  /** What is left out is calm again. Throws on what is not a setting. */
  set(settings: unknown): void {
    if (typeof settings !== 'object' || settings === null) throw new Error('Expected an object.');
    for (const [name, value] of Object.entries(settings)) {
      if (!(name in CALM)) throw new Error(`${name} is not one of ${Object.keys(CALM).join(', ')}.`);
      const whole = Number.isInteger(value);
      if (typeof value !== 'number' || !(value >= 0) || (!whole && (name === 'delayMs' || value > 1))) {
        throw new Error(`${name} must be a share below 1 or a whole number.`);
      }
    }
    this.#settings = { ...CALM, ...settings };
  }

  losesAnswer(): boolean {
    return this.#happens('loseAnswer');
  }

  refuses(): boolean {
    return this.#happens('refuse');
  }

  async delay(): Promise<void> {
    const { delayMs } = this.#settings;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  #happens(name: 'loseAnswer' | 'refuse'): boolean {
    const value = this.#settings[name];
    if (value === 0) return false;
    if (value < 1) return Math.random() < value;
    this.#settings[name] = value - 1;
    return true;
  }
}
