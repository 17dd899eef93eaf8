import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState, MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import type { MessagingState } from './state.ts';

const KEEP_KEYS = 256;
/** Deferred and being sent at the same time, per customer. */
export const MAX_UNDER_WAY = 40;

/** A 53-bit hash of an idempotency key (cyrb53), which a number holds exactly. */
export function keyHash(key: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < key.length; i++) {
    const c = key.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

/** Whether a request with this key was decided before, whatever came of it. */
export function isKnown(state: MessagingState, key: string): boolean {
  return state.decidedKeys.includes(keyHash(key)) || state.has(key);
}

export function remember(state: CustomerState, key: string): void {
  const hash = keyHash(key);
  if (state.decidedKeys.includes(hash)) return;
  state.decidedKeys.push(hash);
  if (state.decidedKeys.length > KEEP_KEYS) state.decidedKeys.splice(0, state.decidedKeys.length - KEEP_KEYS);
}

/** Notes what was decided about a request, in place of an earlier decision about the same. */
export function note(
  state: MessagingState,
  request: SendRequest,
  status: MessageStatus,
  reason: string,
  now: number,
): void {
  state.enter({
    idempotencyKey: request.idempotencyKey,
    journeyId: request.journeyId,
    enrolmentId: request.enrolmentId,
    nodeId: request.nodeId,
    channel: request.channel,
    templateId: request.templateId,
    purpose: request.purpose,
    variant: request.variant,
    status,
    reason,
    decidedAtMs: now,
    settledAtMs: 0,
    ...{ providerId: '', deliveredAtMs: 0, openedAtMs: 0, clickedAtMs: 0 },
  });
}

/** The same by the next channel to try; undefined when there is none. */
export function fallbackOf(request: SendRequest): SendRequest | undefined {
  const [next, ...fallbacks] = request.fallbacks;
  if (!next) return undefined;
  const { channel, templateId } = next;
  return { ...request, channel, templateId, fallbacks, idempotencyKey: `${request.idempotencyKey}/f` };
}

/** Idempotency keys of both sides of a merge. */
export function keysOf(into: readonly number[], from: readonly number[]): number[] {
  return [...new Set([...from, ...into])].slice(-KEEP_KEYS);
}
