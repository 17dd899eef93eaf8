import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Violation, Violations } from '../core/violations.ts';

const STORED = Buffer.from('{"success":true}');
/** Browsers of any shop page send here. Nothing secret ever comes back, and no cookies are used. */
const OPEN = { 'access-control-allow-origin': '*' } as const;
const JSON_TYPE = 'application/json; charset=utf-8';

export function answerStored(response: ServerResponse): void {
  response.writeHead(200, { ...OPEN, 'content-type': JSON_TYPE, 'content-length': STORED.length }).end(STORED);
}

export type ErrorCode =
  | 'invalid'
  | 'unauthorized'
  | 'not_found'
  | 'method_not_allowed'
  | 'too_large'
  | 'unsupported_encoding'
  | 'overloaded'
  | 'unavailable'
  | 'internal';

export interface Problem {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly errors?: readonly object[];
  /** Errors that are not listed. */
  readonly more?: number;
}

export function answerProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent || response.destroyed) return;
  const { status, code, message, retryAfterMs, errors, more } = problem;
  const body = Buffer.from(JSON.stringify({ success: false, code, message, errors, more }));
  const headers: OutgoingHttpHeaders = { ...OPEN, 'content-type': JSON_TYPE, 'content-length': body.length };
  if (retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
    headers['access-control-expose-headers'] = 'Retry-After';
  }
  response.writeHead(status, headers).end(body);
}

export function answerPreflight(response: ServerResponse): void {
  response
    .writeHead(204, {
      ...OPEN,
      'access-control-allow-methods': 'POST, OPTIONS',
      'access-control-allow-headers':
        'Authorization, Content-Type, Content-Encoding, X-Write-Key, AnonymousId, X-Retry-Count',
      'access-control-max-age': '86400',
    })
    .end();
}

/** A single event that is too large is 413, as Segment answers; everything else about events is 400. */
export function problemOf(violations: Violations, batch: boolean): Problem {
  const errors = violations.list.map(({ index, ...rest }) => (batch && index >= 0 ? { index, ...rest } : rest));
  const more = violations.count - violations.list.length;
  const others = violations.count > 1 ? ` (and ${violations.count - 1} more)` : '';
  const message = `${subjectOf(violations.list[0], batch)} ${violations.list[0]?.rule}${others}. Nothing was stored.`;
  const rest = { message, errors, ...(more > 0 ? { more } : {}) };
  if (violations.oversized && !batch) return { status: 413, code: 'too_large', ...rest };
  return { status: 400, code: 'invalid', ...rest };
}

function subjectOf(violation: Violation | undefined, batch: boolean): string {
  if (violation === undefined || violation.index < 0) return violation?.field || 'The request';
  const event = batch ? `Event ${violation.index}` : 'The event';
  return violation.field === '' ? event : `${event}: ${violation.field}`;
}
