import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { MessagingServiceClient } from '#gen/recur/messaging/v1/messaging_service.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import type { Fronts } from './fronts.ts';

const EVERY_MS = 25;
const ANSWER_MS = 10_000;
/** "Come again": what a client repeats by itself. NOT_FOUND is an answer: some people are new. */
const AGAIN: readonly number[] = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];

/** What calls came to, by service. */
export interface Calls {
  made: number;
  /** Told to come again; the next attempt was an answer. */
  again: number;
  /** Anything else that is no answer. */
  failed: number;
  slowestMs: number;
}

/** Reads customers from every service that answers, forty times a second each, whatever becomes of the processes behind. */
export class Readers {
  readonly calls: Record<string, Calls> = {};
  readonly errors: string[] = [];
  readonly #clients: { close(): void }[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #people: () => number;
  #stopping = false;

  /** @param people how many there are by now: `person-0` and on */
  constructor(fronts: Fronts, token: string, people: () => number) {
    this.#people = people;
    const settings = { token, deadlineMs: ANSWER_MS };
    const identity = createClient(IdentityServiceClient, fronts.address('identity'), settings);
    const profile = createClient(ProfileServiceClient, fronts.address('profile'), settings);
    const segmentation = createClient(SegmentationServiceClient, fronts.address('segmentation'), settings);
    const journey = createClient(JourneyServiceClient, fronts.address('journey'), settings);
    const messaging = createClient(MessagingServiceClient, fronts.address('messaging'), settings);
    this.#clients.push(identity, profile, segmentation, journey, messaging);
    // Until somebody is known, nobody is.
    let known = 'nobody';
    const value = () => ({ type: 'user_id', key: { $case: 'value' as const, value: this.#someone() } });
    this.#read('identity', async () => {
      const { results } = await identity.resolveIdentifiers({ identifiers: [value()] });
      known = results[0]?.customerId || known;
    });
    this.#read('profile', async () => {
      const customer = { $case: 'identifier' as const, value: { type: 'user_id', value: this.#someone() } };
      await profile.getProfile({ customer, readMask: ['events', 'orders'] });
    });
    this.#read('segmentation', () => segmentation.listCustomerSegments({ customerId: known }));
    this.#read('journey', () => journey.listEnrolments({ customerId: known, journeyId: '' }));
    this.#read('messaging', () => messaging.listMessages({ customerId: known, pageSize: 5, pageToken: '' }));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client.close();
  }

  get total(): Calls {
    const sum = { made: 0, again: 0, failed: 0, slowestMs: 0 };
    for (const { made, again, failed, slowestMs } of Object.values(this.calls)) {
      sum.made += made;
      sum.again += again;
      sum.failed += failed;
      sum.slowestMs = Math.max(sum.slowestMs, slowestMs);
    }
    return sum;
  }

  #someone(): string {
    return `person-${Math.floor(Math.random() * this.#people())}`;
  }

  #read(service: string, call: () => Promise<unknown>): void {
    const calls: Calls = { made: 0, again: 0, failed: 0, slowestMs: 0 };
    this.calls[service] = calls;
    this.#loops.push(
      (async () => {
        while (!this.#stopping) {
          const from = performance.now();
          await call().catch((error: { code?: number; message?: string }) => this.#failed(service, calls, error));
          calls.made++;
          calls.slowestMs = Math.max(calls.slowestMs, performance.now() - from);
          await sleep(EVERY_MS);
        }
      })(),
    );
  }

  #failed(service: string, calls: Calls, { code, message }: { code?: number; message?: string }): void {
    if (code === status.NOT_FOUND) return;
    if (code !== undefined && AGAIN.includes(code)) {
      calls.again++;
      return;
    }
    calls.failed++;
    if (this.errors.length < 10) this.errors.push(`${service}: ${code} ${message}`);
  }
}
