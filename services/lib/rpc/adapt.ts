import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { within } from '#lib/telemetry/trace.ts';
import type { Call } from './call.ts';
import { RpcError } from './errors.ts';
import { beforeDeadline, type Gate } from './gate.ts';
import type { RpcService } from './service.ts';
import { endRpcSpan, serverSpan } from './spans.ts';

/** Twice what was ever seen. */
const CANCEL_TURNS = 4;

type Handler = (request: unknown, call: Call) => unknown;

/** Turns handlers with promises and async iterables into what grpc-js calls. */
export function adapt(service: RpcService, gate: Gate): UntypedServiceImplementation {
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(service.definition)) {
    const handler = service.handlers[name] as Handler;
    const path = method.path.slice(1);
    if (method.responseStream) implementation[name] = streamed(gate, path, handler, method.requestStream);
    else implementation[name] = answered(gate, path, handler, method.requestStream);
  }
  return implementation;
}

/** Stands for a request that is no message of its type; grpc-js would answer INTERNAL, as if it were our fault. */
class Malformed {}
const MALFORMED = new Malformed();

/** The same service, with requests read in a way that cannot fail. */
export function readable(definition: ServiceDefinition): ServiceDefinition {
  const read = (deserialize: (bytes: Buffer) => unknown) => (bytes: Buffer) => {
    try {
      return deserialize(bytes);
    } catch {
      return MALFORMED;
    }
  };
  const methods = Object.entries(definition).map(([name, method]) => {
    return [name, { ...method, requestDeserialize: read(method.requestDeserialize) }] as const;
  });
  return Object.fromEntries(methods);
}

function whole(request: unknown): unknown {
  if (request === MALFORMED) throw new RpcError(status.INVALID_ARGUMENT, 'The request is not a message of its type.');
  return request;
}

type AnsweredCall = ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>;

/** Methods with one response. */
function answered(gate: Gate, method: string, handler: Handler, requestStream: boolean): UntypedHandleCall {
  return async (raw: AnsweredCall, respond: sendUnaryData<unknown>) => {
    const startedAt = performance.now();
    const span = serverSpan(method, raw.metadata);
    try {
      const call = gate.enter(method, raw, requestStream, span?.spanContext());
      const request = requestStream ? incoming(raw) : whole((raw as ServerUnaryCall<unknown, unknown>).request);
      const response = await within(span, () => beforeDeadline(call, Promise.resolve(handler(request, call))));
      gate.succeeded(method, startedAt);
      endRpcSpan(span, status.OK);
      respond(null, response);
    } catch (error) {
      const answer = within(span, () => gate.failed(method, startedAt, raw.cancelled ? cancelled(error) : error));
      endRpcSpan(span, answer.code);
      respond(answer);
      // Whatever is still on its way in is not read any more; without this the stream would hold its buffers.
      if (requestStream) (raw as ServerReadableStream<unknown, unknown>).resume();
    }
  };
}

/** The client's messages. A client that goes away in the middle must not look like one that has finished. */
async function* incoming(raw: AnsweredCall | StreamedCall): AsyncGenerator<unknown> {
  for await (const request of raw as ServerReadableStream<unknown, unknown>) yield whole(request);
  // grpc-js ends the stream in either case, and says one or two turns of the event loop later that it was cancelled.
  for (let turn = 0; turn < CANCEL_TURNS; turn++) {
    await nextTurn();
    if (raw.cancelled) throw cancelled();
  }
}

/** What a handler throws because its caller went away is no fault of this service. */
function cancelled(cause?: unknown): RpcError {
  return cause instanceof RpcError ? cause : new RpcError(status.CANCELLED, 'The caller went away.', { cause });
}

type StreamedCall = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;

/** Methods with a stream of responses. */
function streamed(gate: Gate, method: string, handler: Handler, requestStream: boolean): UntypedHandleCall {
  return async (raw: StreamedCall) => {
    const startedAt = performance.now();
    const span = serverSpan(method, raw.metadata);
    try {
      const call = gate.enter(method, raw, true, span?.spanContext());
      const request = requestStream ? incoming(raw) : whole((raw as ServerWritableStream<unknown, unknown>).request);
      const responses = () => send(raw, handler(request, call) as AsyncIterable<unknown>, call);
      await within(span, () => beforeDeadline(call, responses()));
      gate.succeeded(method, startedAt);
      endRpcSpan(span, status.OK);
      raw.end();
    } catch (error) {
      const answer = within(span, () => gate.failed(method, startedAt, raw.cancelled ? cancelled(error) : error));
      endRpcSpan(span, answer.code);
      // grpc-js turns an error of the stream into its status.
      raw.emit('error', answer);
    }
  };
}

/** Writes as fast as the client reads. */
async function send(raw: StreamedCall, responses: AsyncIterable<unknown>, call: Call): Promise<void> {
  const { signal } = call;
  for await (const response of responses) {
    if (signal.aborted) return;
    if (!raw.write(response)) await Promise.race([once(raw, 'drain', { signal }), once(raw, 'close')]);
  }
}
