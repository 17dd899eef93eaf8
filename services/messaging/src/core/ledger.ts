import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { type CustomerState, type MessageEntry, MessageStatus } from '#gen/recur/messaging/v1/state.ts';

const KEEP_MESSAGES = 50;
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
export function isKnown(state: CustomerState, key: string): boolean {
  return state.decidedKeys.includes(keyHash(key)) || entryOf(state, key) !== undefined;
}

export function entryOf(state: CustomerState, key: string): MessageEntry | undefined {
  return state.messages.findLast((entry) => entry.idempotencyKey === key);
}

export function remember(state: CustomerState, key: string): void {
  const hash = keyHash(key);
  if (state.decidedKeys.includes(hash)) return;
  state.decidedKeys.push(hash);
  if (state.decidedKeys.length > KEEP_KEYS) state.decidedKeys.splice(0, state.decidedKeys.length - KEEP_KEYS);
}

export function underWay(entry: MessageEntry): boolean {
  return (
    entry.status === MessageStatus.MESSAGE_STATUS_SENDING || entry.status === MessageStatus.MESSAGE_STATUS_DEFERRED
  );
}

/** Notes what was decided about a request, in place of an earlier decision about the same. */
export function note(
  state: CustomerState,
  request: SendRequest,
  status: MessageStatus,
  reason: string,
  now: number,
): void {
  const at = state.messages.findLastIndex((entry) => entry.idempotencyKey === request.idempotencyKey);
  if (at >= 0) state.messages.splice(at, 1);
  state.messages.push({
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
  state.messages = bounded(state.messages);
}

/** The same by the next channel to try; undefined when there is none. */
export function fallbackOf(request: SendRequest): SendRequest | undefined {
  const [next, ...fallbacks] = request.fallbacks;
  if (!next) return undefined;
  const { channel, templateId } = next;
  return { ...request, channel, templateId, fallbacks, idempotencyKey: `${request.idempotencyKey}/f` };
}

/** The newest entries; those under way stay, however old. */
export function bounded(entries: MessageEntry[]): MessageEntry[] {
  let excess = entries.length - KEEP_MESSAGES;
  if (excess <= 0) return entries;
  return entries.filter((entry) => underWay(entry) || excess-- <= 0);
}

/** Idempotency keys of both sides of a merge. */
export function keysOf(into: readonly number[], from: readonly number[]): number[] {
  return [...new Set([...from, ...into])].slice(-KEEP_KEYS);
}
