import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { type TraceContext, traceparentOf } from '#lib/telemetry/trace.ts';

/** For a publish: says which span the frame comes of. Frames of spans that are not recorded carry nothing. */
export function traceHeaders(trace: TraceContext | undefined): { headers?: MsgHdrs } {
  if (trace === undefined) return {};
  const said = headers();
  said.set('traceparent', traceparentOf(trace));
  return { headers: said };
}
