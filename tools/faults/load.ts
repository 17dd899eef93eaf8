import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Ledger, Sent } from './ledger.ts';

export interface LoadOptions {
  readonly url: string;
  readonly writeKey: string;
  readonly ledger: Ledger;
  readonly random: () => number;
  /** Events a second. */
  readonly rate: number;
  /** Told apart from other runs' events. */
  readonly run: string;
}

const TICK_MS = 100;
/** Well below Retry-After: how soon events flow again is what is measured, not how patient a client is. */
const RETRY_MS = 200;
const ANSWER_MS = 8_000;
const CONNECTIONS = 16;
const BURST_BATCH = 200;

/**
 * Steady traffic that does not slow down when the system does (an open loop): at every tick so many events are due. A request
 * that is refused, broken off or not answered is sent again, with the same message ids, until it is acknowledged.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #pool: Pool;
  readonly #underway = new Set<Promise<void>>();
  #people = 0;
  #events = 0;
  #stopping = false;
  #loop: Promise<void> | undefined;
  #failure: unknown;

  constructor(options: LoadOptions) {
    this.#options = options;
    const times = { bodyTimeout: ANSWER_MS, headersTimeout: ANSWER_MS, connectTimeout: 2_000 };
    this.#pool = new Pool(options.url, { connections: CONNECTIONS, pipelining: 1, ...times });
  }

  get people(): number {
    return this.#people;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** So many at once; resolves when all of them are acknowledged. */
  async burst(events: number): Promise<void> {
    const works: Promise<void>[] = [];
    for (let left = events; left > 0; left -= BURST_BATCH) works.push(this.#launch(Math.min(left, BURST_BATCH)));
    await Promise.all(works);
  }

  /** Sends events once more, as a sender does who keeps them for a while; resolves when all are acknowledged. */
  async again(events: readonly Sent[]): Promise<void> {
    for (let i = 0; i < events.length; i += BURST_BATCH) await this.#insist(events.slice(i, i + BURST_BATCH));
  }

  /** Nothing new; resolves when everything sent is acknowledged. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop;
    await Promise.all(this.#underway);
    await this.#pool.destroy();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(): Promise<void> {
    const perTick = Math.max(1, Math.round((this.#options.rate * TICK_MS) / 1000));
    for (let next = performance.now(); !this.#stopping; ) {
      void this.#launch(perTick);
      next += TICK_MS;
      await sleep(Math.max(0, next - performance.now()));
    }
  }

  #launch(count: number): Promise<void> {
    const events = Array.from({ length: count }, () => this.#event());
    const work = this.#insist(events)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underway.delete(work));
    this.#underway.add(work);
    return work;
  }

  /** Every twentieth introduces somebody new; a tenth of the others are orders. */
  #event(): Sent {
    const { random, run } = this.#options;
    const messageId = `${run}-${this.#events++}`;
    const turn = this.#events % 20;
    if (turn === 1) return { messageId, person: this.#people++, what: 'identify', cents: 0 };
    if (turn === 2) return { messageId, person: this.#people - 1, what: 'signed_up', cents: 0 };
    const person = Math.floor(random() * this.#people);
    if (random() > 0.1) return { messageId, person, what: 'viewed', cents: 0 };
    return { messageId, person, what: 'ordered', cents: 100 + Math.floor(random() * 10_000) };
  }

  async #insist(events: readonly Sent[]): Promise<void> {
    const { ledger, writeKey } = this.#options;
    const body = JSON.stringify({ batch: events.map((event) => this.#message(event)) });
    const headers = { 'content-type': 'application/json', 'x-write-key': writeKey };
    ledger.open += events.length;
    for (;;) {
      const status = await this.#attempt(body, headers);
      if (status === 200) break;
      ledger.refusals++;
      await sleep(RETRY_MS);
    }
    ledger.open -= events.length;
    ledger.acknowledge(events);
  }

  /** The status, or 0 when there was no answer. @throws when the events themselves are refused: they are all valid */
  async #attempt(body: string, headers: Record<string, string>): Promise<number> {
    let status = 0;
    let text = '';
    try {
      const answer = await this.#pool.request({ path: '/v1/batch', method: 'POST', headers, body });
      status = answer.statusCode;
      text = await answer.body.text();
    } catch {
      return 0;
    }
    if (status !== 200 && status !== 429 && status < 500) throw new Error(`HTTP ${status}: ${text.slice(0, 300)}`);
    return status;
  }

  #message({ messageId, person, what, cents }: Sent): object {
    const base = { messageId, userId: `person-${person}` };
    switch (what) {
      case 'identify':
        return { ...base, type: 'identify', traits: { email: emailOf(person) } };
      case 'signed_up':
        return { ...base, type: 'track', event: 'Signed Up' };
      case 'viewed':
        return { ...base, type: 'track', event: 'Product Viewed', properties: { product_id: `p-${person % 50}` } };
      case 'ordered':
        return {
          ...base,
          type: 'track',
          event: 'Order Completed',
          properties: { order_id: `o-${messageId}`, total: cents / 100 },
        };
    }
  }
}

export const emailOf = (person: number): string => `person-${person}@faults.example`;
