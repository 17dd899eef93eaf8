import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import type { Logger } from 'pino';

/** Of a call to JetStream's API. One that meets a stream without a leader is never answered: it is better asked again soon. */
export const JETSTREAM_CALL = { timeout: 2_000 } as const;

const AGAIN_MS = 250;
const TOLD_EVERY_MS = 5_000;
const UNAVAILABLE = 503;
/** "no suitable peers for placement": of three servers one or two are there yet. */
const NO_PEERS = 10_005;

/**
 * Asks JetStream again until it answers. A cluster that starts, or chooses a leader, leaves a question without an answer or
 * answers that it cannot yet; whoever starts beside it has to wait for it. `ask` may run many times: it must find what an
 * earlier one of it made.
 * @throws what `ask` throws when JetStream says no, or the connection is closed
 */
export async function untilAnswered<T>(ask: () => Promise<T>, logger?: Logger): Promise<T> {
  let toldMs = performance.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!mayPass(error)) throw error;
      const now = performance.now();
      if (now - toldMs >= TOLD_EVERY_MS) {
        toldMs = now;
        logger?.warn({ reason: (error as Error).message }, 'waiting for JetStream');
      }
    }
    await sleep(AGAIN_MS);
  }
}

function mayPass(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === UNAVAILABLE || error.code === NO_PEERS;
  // An answer that says no will say so again; none at all is a server without JetStream yet.
  // Its class is not exported.
  if (error instanceof Error && error.name === 'JetStreamNotEnabled')
    return !(error.cause instanceof JetStreamApiError);
  return (
    error instanceof errors.TimeoutError ||
    error instanceof errors.RequestError ||
    error instanceof errors.ConnectionError
  );
}
