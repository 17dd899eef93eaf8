import type { IncomingMessage, ServerResponse } from 'node:http';
import { SpanKind } from '@opentelemetry/api';
import { callSpan, contextOf, failed, isTracing, within } from './trace.ts';

/**
 * Answers a request with a span around it. `routeOf` tells which of a few routes a path is; neither path nor query become part of
 * the span, they may hold keys.
 */
export async function served(
  request: IncomingMessage,
  response: ServerResponse,
  routeOf: (path: string) => string | undefined,
  answer: () => Promise<void>,
): Promise<void> {
  if (!isTracing()) return answer();
  const method = request.method ?? '';
  const route = routeOf((request.url ?? '').split('?', 1)[0] ?? '');
  const span = callSpan(
    route === undefined ? method : `${method} ${route}`,
    SpanKind.SERVER,
    contextOf(request.headers.traceparent),
    { 'http.request.method': method, ...(route !== undefined && { 'http.route': route }) },
  );
  try {
    await within(span, answer);
  } catch (error) {
    if (span !== undefined) failed(span, error);
    throw error;
  } finally {
    span?.setAttribute('http.response.status_code', response.statusCode);
    span?.end();
  }
}
