import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { WriteKeys } from '#lib/config/write-keys.ts';
import { served } from '#lib/telemetry/http-span.ts';
import { type Request, type Route, readRequest, routeOf } from '../core/request.ts';
import { Violations } from '../core/violations.ts';
import type { IngestMetrics } from '../metrics.ts';
import { type Accepted, type Intake, LogRefusal } from '../processor.ts';
import { answerPreflight, answerProblem, answerStored, type Problem, problemOf } from './answers.ts';
import { BodyRefusal, type Room, readBody, unpack } from './body.ts';
import { type Claim, claimOf } from './write-key.ts';

export interface HttpApiParts {
  readonly intake: Intake;
  readonly writeKeys: WriteKeys;
  readonly metrics: IngestMetrics;
  readonly logger: Logger;
  /** Bytes of bodies held at once; beyond, requests are refused. */
  readonly maxHeldBytes: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const RETRY_MS = 1_000;
const CODES = { 400: 'invalid', 408: 'invalid', 413: 'too_large', 415: 'unsupported_encoding' } as const;

/** The tracking API: node:http in, node:http out, one promise chain per request and none per event. */
export class HttpApi {
  readonly #parts: HttpApiParts;
  #heldBytes = 0;

  constructor(parts: HttpApiParts) {
    this.#parts = parts;
  }

  /** Whether this API answers requests for the path (with its query). */
  static takes(url: string): boolean {
    return /^\/(v1|beacon\/v1|api\/s)\//.test(url);
  }

  /** For node:http: answers every request, never throws. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    served(request, response, knownPath, () => this.#answer(request, response)).catch((error: unknown) => {
      this.#parts.logger.error({ err: error, method: request.method }, 'request failed unexpectedly');
      answerProblem(response, { status: 500, code: 'internal', message: 'Internal error. Send the request again.' });
    });
  };

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query] = (request.url ?? '').split('?', 2);
    if (request.method === 'OPTIONS') return answerPreflight(response);
    const route = routeOf(path);
    if (route === undefined)
      return this.#turnDown(request, response, {
        status: 404,
        code: 'not_found',
        message: `There is no ${show(path)}.`,
      });
    if (request.method !== 'POST') {
      return this.#turnDown(request, response, {
        status: 405,
        code: 'method_not_allowed',
        message: 'Events are sent by POST.',
      });
    }
    const claim = claimOf(request.headers, query, this.#parts.writeKeys);
    let held = 0;
    const room: Room = {
      take: (bytes) => {
        if (this.#heldBytes + bytes > this.#parts.maxHeldBytes) return false;
        this.#heldBytes += bytes;
        held += bytes;
        return true;
      },
    };
    try {
      const problem = await this.#take(request, route, claim, room);
      // What is left of a body that never ends is not waited for.
      if (!request.complete && !response.headersSent) response.setHeader('connection', 'close');
      answerOrStored(response, problem);
    } finally {
      this.#heldBytes -= held;
    }
  }

  /** @returns undefined when everything is stored */
  async #take(request: IncomingMessage, route: Route, claim: Claim, room: Room): Promise<Problem | undefined> {
    const { metrics } = this.#parts;
    let source = typeof claim === 'object' ? claim.source : '';
    try {
      const packed = await readBody(request, room);
      if (packed === undefined) return this.#overloaded(source);
      const body = await unpack(packed, request.headers['content-encoding']);
      if (body !== packed && !room.take(body.length)) return this.#overloaded(source);
      if (claim === 'unknown') return this.#unauthorized();
      const violations = new Violations();
      const read = readRequest(body, route, violations);
      if (read !== undefined && claim === 'absent') source = this.#sourceOf(read);
      if (source === '')
        return claim === 'absent' && read === undefined ? problemOf(violations, route.batch) : this.#unauthorized();
      const accepted = read === undefined ? undefined : this.#accept(read, route, source, violations);
      if (accepted === undefined) {
        metrics.refusedRequest(source, violations.oversized && !route.batch ? 'too_large' : 'invalid');
        return problemOf(violations, route.batch);
      }
      await this.#parts.intake.store(accepted);
      metrics.accepted(accepted);
      return undefined;
    } catch (error) {
      return this.#problemOf(error, source);
    }
  }

  #accept(read: Request, route: Route, source: string, violations: Violations): Accepted | undefined {
    const { sentAt, context, careful } = read;
    const arrival = { receivedAtMs: this.#parts.now(), sentAt, context, careful };
    return this.#parts.intake.accept(read.messages, { type: route.type, source }, arrival, violations);
  }

  /** Of the write key in the body; empty when nobody has it. */
  #sourceOf({ writeKey, messages }: Request): string {
    // Browser libraries that send several events at once may write it into each.
    const inEvent = (messages[0] as { writeKey?: unknown } | null)?.writeKey;
    const key = writeKey ?? (typeof inEvent === 'string' ? inEvent : '');
    return this.#parts.writeKeys.sourceOf(key) ?? '';
  }

  #unauthorized(): Problem {
    this.#parts.metrics.refusedRequest('', 'unauthorized');
    return {
      status: 401,
      code: 'unauthorized',
      message:
        'The write key is missing or not known. Send it as the user name of Basic authentication, as X-Write-Key, or as "writeKey" in the body.',
    };
  }

  #overloaded(source: string): Problem {
    this.#parts.metrics.refusedRequest(source, 'full');
    return {
      status: 429,
      code: 'overloaded',
      message: 'Too much is under way. Nothing was stored.',
      retryAfterMs: RETRY_MS,
    };
  }

  #problemOf(error: unknown, source: string): Problem {
    const { metrics } = this.#parts;
    if (error instanceof BodyRefusal) {
      metrics.refusedRequest(source, error.status === 413 ? 'too_large' : 'invalid');
      return {
        status: error.status,
        code: CODES[error.status],
        message: `The body ${error.message}. Nothing was stored.`,
      };
    }
    if (!(error instanceof LogRefusal)) throw error;
    metrics.refusedRequest(source, error.reason);
    const full = error.reason === 'full';
    return {
      status: full ? 429 : 503,
      code: full ? 'overloaded' : 'unavailable',
      message: `${error.message} Send the same events again later; those with a messageId are never counted twice.`,
      retryAfterMs: error.retryAfterMs,
    };
  }

  /** Requests whose body nobody reads. */
  #turnDown(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
    request.resume();
    answerProblem(response, problem);
  }
}

/** All of them are known: a path that none of them is may hold anything. */
const knownPath = (path: string) => (routeOf(path) === undefined ? undefined : path);

function answerOrStored(response: ServerResponse, problem: Problem | undefined): void {
  if (problem !== undefined) answerProblem(response, problem);
  else if (!response.destroyed) answerStored(response);
}

function show(path: string): string {
  return JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
}
