/** How a provider behaves; shares from 0 to 1 of all calls, drawn from `seed`. */
export interface Settings {
  seed: number;
  /** Before it does anything with a call, milliseconds: from, to. */
  latencyMs: [number, number];
  /** Says no for good. */
  refuse: number;
  /** Says: too many, later. */
  throttle: number;
  /** Breaks without taking the message: HTTP 500. */
  fail: number;
  /** Hangs up without taking the message. */
  cut: number;
  /** Takes the message and hangs up instead of answering. */
  lose: number;
  /** Accepted messages appear in queries after so long, milliseconds. */
  showAfterMs: number;
  /** Where receipts go; empty: there are none. */
  receiptUrl: string;
  /** After a message was accepted, milliseconds: from, to. */
  receiptMs: [number, number];
  /** Of receipts: told twice. */
  duplicateReceipt: number;
  /** Of messages: no receipt ever. */
  noReceipt: number;
  /** Of receipts: it could not be delivered. */
  bounce: number;
  /** Access tokens are good for so many calls; 0: for any number. */
  tokenUses: number;
}

export const WELL_BEHAVED: Readonly<Settings> = {
  ...{ seed: 1, latencyMs: [0, 0], refuse: 0, throttle: 0, fail: 0, cut: 0, lose: 0, showAfterMs: 0 },
  ...{ receiptUrl: '', receiptMs: [0, 0], duplicateReceipt: 0, noReceipt: 0, bounce: 0, tokenUses: 0 },
};

export type Fate = 'accept' | 'refuse' | 'throttle' | 'fail' | 'cut' | 'lose';
const FATES = ['refuse', 'throttle', 'fail', 'cut', 'lose'] as const;

/** Draws what happens to each call: the same seed and settings, the same fates in the same order. */
export class Behaviour {
  private settings: Settings = { ...WELL_BEHAVED };
  private state = 1;

  get current(): Readonly<Settings> {
    return this.settings;
  }

  /** What is not named is as in WELL_BEHAVED. @throws on what is not a setting */
  set(settings: Partial<Settings>): void {
    for (const [name, value] of Object.entries(settings)) {
      const like = WELL_BEHAVED[name as keyof Settings];
      if (like === undefined) throw new Error(`${name} is not a setting`);
      if (typeof like !== typeof value) throw new Error(`${name} must be like ${JSON.stringify(like)}`);
    }
    this.settings = { ...WELL_BEHAVED, ...settings };
    this.state = this.settings.seed | 0;
  }

  fate(): Fate {
    let left = this.draw();
    for (const fate of FATES) {
      left -= this.settings[fate];
      if (left < 0) return fate;
    }
    return 'accept';
  }

  chance(share: number): boolean {
    return this.draw() < share;
  }

  between([from, to]: readonly [number, number]): number {
    return from + this.draw() * (to - from);
  }

  /** mulberry32: 0 to 1. */
  private draw(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
