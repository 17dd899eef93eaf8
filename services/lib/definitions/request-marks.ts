import { createHash } from 'node:crypto';
import type { RequestMark, StoredDefinition } from '#gen/recur/definitions/v1/stored.ts';
import { HISTORY } from './bucket.ts';

/** How long a write may be repeated. */
export const REPEAT_MS: number = 24 * 3_600_000;

/** What was asked for, so that one request id cannot stand for two different writes. */
export function fingerprintOf(action: string, expectedRevision: number, body: Uint8Array): Buffer {
  return createHash('sha256').update(`${action}:${expectedRevision}:`).update(body).digest().subarray(0, 8);
}

/** The mark of an earlier write with this id that made one of the revisions still kept. */
export function findMark(
  current: StoredDefinition,
  revision: number,
  requestId: string,
  nowMs: number,
): RequestMark | undefined {
  if (requestId === '') return undefined;
  return marksOf(current, revision).find((mark) => mark.requestId === requestId && nowMs - mark.timeMs < REPEAT_MS);
}

/** The marks the next revision keeps: of those revisions that will still be there. */
export function marksToKeep(current: StoredDefinition, revision: number, nowMs: number): RequestMark[] {
  return marksOf(current, revision)
    .slice(0, HISTORY - 1)
    .filter((mark) => nowMs - mark.timeMs < REPEAT_MS);
}

function marksOf(current: StoredDefinition, revision: number): RequestMark[] {
  return current.request === undefined ? current.earlier : [{ ...current.request, revision }, ...current.earlier];
}
