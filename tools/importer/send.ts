import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { BuiltEvent } from './build.ts';

export interface Target {
  readonly url: string;
  readonly writeKey: string;
}

/** An event as it goes over the wire. */
export interface OutgoingEvent {
  readonly lines: readonly number[];
  readonly json: string;
  readonly bytes: number;
}

export interface Refused {
  readonly event: OutgoingEvent;
  readonly reason: string;
}

export interface Patience {
  /** How long a service that is away is waited for. */
  readonly ms: number;
  /** Waits between attempts; the last one repeats. Longer when the service says so in Retry-After. */
  readonly waits: readonly number[];
}

const PATIENCE: Patience = { ms: 120_000, waits: [100, 200, 500, 1_000, 2_000] };
/** A service may ask for longer waits, but not for any. */
const LONGEST_WAIT_MS = 30_000;
const TIMEOUT_MS = 60_000;

export function encoded({ lines, body }: BuiltEvent): OutgoingEvent {
  const json = JSON.stringify(body);
  return { lines, json, bytes: Buffer.byteLength(json) + 1 };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends batches one after the other, so that events keep their order; waits while the service is away or says not now. */
export class Sender {
  private readonly target: Target;
  private readonly patience: Patience;
  private readonly agent = new Agent({
    keepAliveTimeout: 30_000,
    connections: 1,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  retries = 0;

  constructor(target: Target, patience = PATIENCE) {
    this.target = target;
    this.patience = patience;
  }

  async close(): Promise<void> {
    await this.agent.close();
  }

  /** Resolves when all are stored but those the service refused, with its reason. */
  async send(events: readonly OutgoingEvent[]): Promise<Refused[]> {
    const refused: Refused[] = [];
    let left = [...events];
    while (left.length > 0) {
      const answer = await this.post(left);
      if (answer.status === 200) break;
      const reasons = reasonsOf(answer, left.length);
      if (reasons.size > 0) {
        for (const [i, reason] of reasons) refused.push({ event: left[i] as OutgoingEvent, reason });
        left = left.filter((_, i) => !reasons.has(i));
      } else if (answer.status === 413 && left.length > 1) {
        const half = Math.ceil(left.length / 2);
        refused.push(...(await this.send(left.slice(0, half))), ...(await this.send(left.slice(half))));
        break;
      } else if (answer.status === 413) {
        refused.push({ event: left[0] as OutgoingEvent, reason: `413 ${answer.body.slice(0, 200)}` });
        break;
      } else throw new Error(`The service answered ${answer.status}: ${answer.body.slice(0, 300)}`);
    }
    return refused;
  }

  private async post(events: readonly OutgoingEvent[]): Promise<Answer> {
    const body = `{"batch":[${events.map((e) => e.json).join(',')}]}`;
    const headers = {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`${this.target.writeKey}:`).toString('base64')}`,
    };
    const url = new URL('/v1/batch', this.target.url);
    const until = Date.now() + this.patience.ms;
    for (let attempt = 0; ; attempt++) {
      let failure: string;
      let asked = 0;
      try {
        const answer = await request(url, { method: 'POST', headers, body, dispatcher: this.agent });
        const text = await answer.body.text();
        if (answer.statusCode !== 429 && answer.statusCode < 500) return { status: answer.statusCode, body: text };
        failure = `${answer.statusCode} ${text.slice(0, 200)}`;
        asked = 1_000 * Number(answer.headers['retry-after'] ?? 0) || 0;
      } catch (error) {
        failure = String(error);
      }
      const { waits, ms } = this.patience;
      const wait = Math.max(waits[Math.min(attempt, waits.length - 1)] ?? 0, Math.min(asked, LONGEST_WAIT_MS));
      if (Date.now() + wait > until)
        throw new Error(`${url.origin} did not take events for ${ms / 1000} s: ${failure}`);
      this.retries++;
      await sleep(wait);
    }
  }
}

/** Index of each event the service complained about, with what it said. Empty when it did not say of which. */
function reasonsOf({ status, body }: Answer, count: number): Map<number, string> {
  const reasons = new Map<number, string>();
  if (status !== 400 && status !== 413) return reasons;
  try {
    const { errors = [] } = JSON.parse(body) as {
      errors?: { index?: number; field?: string; rule?: string; message?: string }[];
    };
    for (const { index, field, rule, message } of errors) {
      if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= count) continue;
      const said = [field, rule ?? message].filter(Boolean).join(': ');
      const before = reasons.get(index as number);
      reasons.set(index as number, before === undefined ? said : `${before}; ${said}`);
    }
  } catch {
    // Not ours: the caller reports the answer as it is.
  }
  return reasons;
}
