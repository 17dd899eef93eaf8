import { type Metadata, status } from '@grpc/grpc-js';
import { type Span, SpanKind } from '@opentelemetry/api';
import { callSpan, contextOf, isTracing, type TraceContext, traceparentOf } from '#lib/telemetry/trace.ts';
import type { CallMetadata } from './call.ts';

/** Of a call that comes in; undefined while nothing is traced. */
export function serverSpan(method: string, metadata: CallMetadata): Span | undefined {
  if (!isTracing()) return undefined;
  const caller = contextOf(metadata.get('traceparent')[0]);
  return callSpan(method, SpanKind.SERVER, caller, attributesOf(method));
}

/**
 * Of a call that is made, told to who is called.
 * @param method as in a definition, with the leading slash
 */
export function clientSpan(method: string, metadata: Metadata, parent: TraceContext | undefined): Span | undefined {
  if (!isTracing()) return undefined;
  const name = method.slice(1);
  const span = callSpan(name, SpanKind.CLIENT, parent, attributesOf(name));
  if (span !== undefined) metadata.set('traceparent', traceparentOf(span.spanContext()));
  return span;
}

export function endRpcSpan(span: Span | undefined, code: status | undefined): void {
  if (span === undefined) return;
  if (span.isRecording()) {
    span.setAttribute('rpc.grpc.status_code', code ?? status.UNKNOWN);
    // 2 is SpanStatusCode.ERROR.
    if (code !== status.OK) span.setStatus({ code: 2 });
  }
  span.end();
}

function attributesOf(method: string): Record<string, string> {
  const slash = method.lastIndexOf('/');
  return { 'rpc.system': 'grpc', 'rpc.service': method.slice(0, slash), 'rpc.method': method.slice(slash + 1) };
}
