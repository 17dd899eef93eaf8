import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';

/** Begins the reason of a decision against a message that waited; why the journey took it back follows. */
export const RECALLED = 'recalled: ';

/**
 * Takes out what an enrolment asked for and has not gone out: what waits, and other channels for what is being sent.
 * @returns what waited
 */
export function recall(state: CustomerState, enrolmentId: string): { requests: SendRequest[]; changed: boolean } {
  const isIts = (request: SendRequest | undefined) => enrolmentId !== '' && request?.enrolmentId === enrolmentId;
  const requests = state.deferred.flatMap(({ request }) => (request && isIts(request) ? [request] : []));
  const fallbacks = state.withFallback.length;
  state.deferred = state.deferred.filter(({ request }) => !isIts(request));
  state.withFallback = state.withFallback.filter((request) => !isIts(request));
  return { requests, changed: requests.length > 0 || state.withFallback.length < fallbacks };
}
