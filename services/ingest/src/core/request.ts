import { isUtf8 } from 'node:buffer';
import type { EventType } from '#gen/recur/log/v1/event.ts';
import { Inspector, type Json, needsCare } from './inspect.ts';
import { MAX_BATCH_CONTEXT_BYTES, MAX_EVENTS } from './limits.ts';
import { EVENT_TYPES } from './normalise.ts';
import type { Violations } from './violations.ts';

/** What a path of the HTTP API takes: one event of a type, one event that says its type itself, or a batch. */
export interface Route {
  readonly batch: boolean;
  readonly type: EventType | undefined;
}

const BATCH: Route = { batch: true, type: undefined };
const ANY: Route = { batch: false, type: undefined };
const one = (type: string): Route => ({ batch: false, type: EVENT_TYPES[type] });

/**
 * Paths of the clients this API is for: Segment (short names: its browser library), RudderStack (beacon: its browser library
 * while a page closes), Jitsu (s: its browser and server libraries).
 */
const ROUTES: ReadonlyMap<string, Route> = new Map([
  ...Object.keys(EVENT_TYPES).flatMap((type): [string, Route][] => [
    [`/v1/${type}`, one(type)],
    [`/v1/${type[0]}`, one(type)],
    [`/api/s/${type}`, one(type)],
    [`/api/s/s2s/${type}`, one(type)],
  ]),
  ...['/v1/batch', '/v1/b', '/v1/import', '/beacon/v1/batch', '/api/s/batch', '/api/s/s2s/batch'].map(
    (path): [string, Route] => [path, BATCH],
  ),
  ['/api/s/event', ANY],
  ['/api/s/s2s/event', ANY],
]);

export function routeOf(path: string): Route | undefined {
  return ROUTES.get(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
}

/** A request body, understood as far as needed to look at its events. */
export interface Request {
  readonly messages: readonly unknown[];
  /** As the body names it, for requests without a key in their headers. */
  readonly writeKey: string | undefined;
  readonly sentAt: unknown;
  /** Of the whole batch. */
  readonly context: Json | undefined;
  readonly careful: boolean;
}

/** @returns undefined when there are violations */
export function readRequest(body: Buffer, route: Route, violations: Violations): Request | undefined {
  const text = decode(body, violations);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    violations.add('', undefined, `must be JSON: ${withoutContent((error as Error).message)}`);
    return undefined;
  }
  const careful = needsCare(body);
  // Jitsu sends a list without anything around it.
  if (Array.isArray(json))
    return route.batch ? bounded({ messages: json, careful }, violations) : notObject(json, violations);
  if (typeof json !== 'object' || json === null) return notObject(json, violations);
  const envelope = json as Json;
  const writeKey = typeof envelope.writeKey === 'string' ? envelope.writeKey : undefined;
  const sentAt = envelope.sentAt ?? undefined;
  if (!route.batch) return { messages: [json], writeKey, sentAt, context: undefined, careful };
  return bounded(
    { messages: eventsOf(envelope), writeKey, sentAt, context: contextOf(envelope, careful, violations), careful },
    violations,
  );
}

function decode(body: Buffer, violations: Violations): string | undefined {
  if (body.length === 0) {
    violations.add('', undefined, 'must be JSON: the body is empty');
    return undefined;
  }
  if (!isUtf8(body)) {
    violations.add('', undefined, 'must be UTF-8');
    return undefined;
  }
  const start = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  return body.toString('utf8', start);
}

/** The parser's message quotes what it stumbled over; only the place is needed. */
function withoutContent(message: string): string {
  const place = /at position \d+( \(line \d+ column \d+\))?/.exec(message)?.[0];
  return place === undefined ? 'it ends too early, or is something else' : `unexpected character ${place}`;
}

function notObject(json: unknown, violations: Violations): undefined {
  violations.add('', json, 'must be a JSON object');
  return undefined;
}

function eventsOf(envelope: Json): unknown {
  return envelope.batch ?? envelope.events;
}

/** It goes into every event, so it has to be as sound as an event. */
function contextOf(envelope: Json, careful: boolean, violations: Violations): Json | undefined {
  const { context } = envelope;
  if (context === undefined || context === null) return undefined;
  if (typeof context !== 'object' || Array.isArray(context)) {
    violations.add('context', context, 'must be an object');
    return undefined;
  }
  const fault = new Inspector().inspect({ context }, careful);
  if (fault !== undefined) violations.add(fault.field, fault.value, fault.rule);
  else if (Buffer.byteLength(JSON.stringify(context)) > MAX_BATCH_CONTEXT_BYTES) {
    violations.add('context', context, `of a batch must be at most ${MAX_BATCH_CONTEXT_BYTES} bytes as JSON`);
  }
  return context as Json;
}

interface Batch {
  readonly messages: unknown;
  readonly writeKey?: string | undefined;
  readonly sentAt?: unknown;
  readonly context?: Json | undefined;
  readonly careful: boolean;
}

function bounded({ messages, writeKey, sentAt, context, careful }: Batch, violations: Violations): Request | undefined {
  if (!Array.isArray(messages)) violations.add('batch', messages, 'must be a list of events');
  else if (messages.length === 0) violations.add('batch', messages, 'must hold at least one event');
  else if (messages.length > MAX_EVENTS) violations.add('batch', messages, `must hold at most ${MAX_EVENTS} events`);
  else if (violations.count === 0) return { messages, writeKey, sentAt, context, careful };
  return undefined;
}
