import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Call } from './call.ts';
import { releaseEndedCalls } from './ended-calls.ts';
import type { MethodShape, RequestOf, ResponseOf, ServiceShape } from './service.ts';
import { clientSpan, endRpcSpan } from './spans.ts';
import { fromStatus } from './status-details.ts';

export interface ClientSettings {
  /** Sent as `authorization: Bearer <token>`. */
  readonly token?: string;
  /** How long a call may take unless told otherwise. 5 s when left out. */
  readonly deadlineMs?: number;
}

export interface CallSettings {
  /** Milliseconds from now. */
  readonly deadlineMs?: number;
  /**
   * The call this one is made for: its deadline and its cancellation hold here too, and without a token of the client's own
   * it is made in the name of the same caller.
   */
  readonly parent?: Call;
  readonly signal?: AbortSignal;
}

type Method<M extends MethodShape> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? never // not needed so far
    : (
        requests: Iterable<RequestOf<M>> | AsyncIterable<RequestOf<M>>,
        settings?: CallSettings,
      ) => Promise<ResponseOf<M>>
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, settings?: CallSettings) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, settings?: CallSettings) => Promise<ResponseOf<M>>;

/** A service's methods as promises and async iterables. Failed calls throw RpcError. */
export type RpcClient<S extends ServiceShape> = { readonly [M in keyof S]: Method<S[M]> } & { close(): void };

/** What ts-proto generates as `<Name>Client`. */
export interface GeneratedClient<S> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): Client;
  readonly service: S;
}

/** @param address host:port. Connects on the first call, and again whenever the connection is lost. */
export function createClient<S extends ServiceShape>(
  generated: GeneratedClient<S>,
  address: string,
  settings: ClientSettings = {},
): RpcClient<S> {
  releaseEndedCalls();
  const client = new generated(address, credentials.createInsecure(), {
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    'grpc.initial_reconnect_backoff_ms': 100,
    // Somebody who was away for long is found again within half a second.
    'grpc.max_reconnect_backoff_ms': 500,
  });
  const methods: Record<string, unknown> = { close: () => client.close() };
  for (const [name, method] of Object.entries(generated.service)) methods[name] = call(client, method, settings);
  return methods as RpcClient<S>;
}

function call(client: Client, method: MethodShape, settings: ClientSettings): unknown {
  if (method.requestStream && method.responseStream) return undefined;
  if (method.requestStream) {
    return (requests: AsyncIterable<unknown>, options: CallSettings = {}) =>
      clientStream(client, method, requests, settings, options);
  }
  if (method.responseStream) {
    return (request: unknown, options: CallSettings = {}) => serverStream(client, method, request, settings, options);
  }
  return (request: unknown, options: CallSettings = {}) => unary(client, method, request, settings, options);
}

function unary(
  client: Client,
  m: MethodShape,
  request: unknown,
  settings: ClientSettings,
  options: CallSettings,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const metadata = metadataOf(settings, options);
    const span = clientSpan(m.path, metadata, options.parent?.trace);
    const done = (error: ServiceError | null, response?: unknown) => {
      release();
      endRpcSpan(span, error === null ? status.OK : error.code);
      if (error === null) resolve(response);
      else reject(fromStatus(error));
    };
    const args = [metadata, callOptions(settings, options)] as const;
    const started: ClientUnaryCall = client.makeUnaryRequest(
      m.path,
      m.requestSerialize,
      m.responseDeserialize,
      request,
      ...args,
      done,
    );
    const release = cancelOn(started, options);
  });
}

function clientStream(
  client: Client,
  m: MethodShape,
  requests: Iterable<unknown> | AsyncIterable<unknown>,
  settings: ClientSettings,
  options: CallSettings,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let over = false;
    const metadata = metadataOf(settings, options);
    const span = clientSpan(m.path, metadata, options.parent?.trace);
    const done = (error: ServiceError | null, response?: unknown) => {
      over = true;
      release();
      endRpcSpan(span, error === null ? status.OK : error.code);
      if (error === null) resolve(response);
      else reject(fromStatus(error));
    };
    const args = [metadata, callOptions(settings, options)] as const;
    const started: ClientWritableStream<unknown> = client.makeClientStreamRequest(
      m.path,
      m.requestSerialize,
      m.responseDeserialize,
      ...args,
      done,
    );
    const release = cancelOn(started, options);
    const write = async () => {
      for await (const request of requests) {
        if (over) return;
        // Waits for the server to keep up, or for the end of the call.
        if (!started.write(request)) await drained(started, () => over);
      }
      started.end();
    };
    write().catch((error: unknown) => {
      started.cancel();
      reject(error);
    });
  });
}

function drained(stream: ClientWritableStream<unknown>, over: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    if (over()) return resolve();
    const go = () => {
      stream.off('drain', go);
      stream.off('close', go);
      stream.off('error', go);
      stream.off('status', go);
      resolve();
    };
    stream.on('drain', go).on('close', go).on('error', go).on('status', go);
  });
}

async function* serverStream(
  client: Client,
  m: MethodShape,
  request: unknown,
  settings: ClientSettings,
  options: CallSettings,
): AsyncGenerator<unknown, void> {
  const metadata = metadataOf(settings, options);
  const span = clientSpan(m.path, metadata, options.parent?.trace);
  let code: status = status.OK;
  const args = [metadata, callOptions(settings, options)] as const;
  const started: ClientReadableStream<unknown> = client.makeServerStreamRequest(
    m.path,
    m.requestSerialize,
    m.responseDeserialize,
    request,
    ...args,
  );
  const release = cancelOn(started, options);
  try {
    yield* started;
  } catch (error) {
    code = isServiceError(error) ? error.code : status.UNKNOWN;
    throw isServiceError(error) ? fromStatus(error) : error;
  } finally {
    release();
    endRpcSpan(span, code);
    started.cancel(); // when the reader stops early
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number';
}

function metadataOf({ token }: ClientSettings, { parent }: CallSettings): Metadata {
  const metadata = new Metadata();
  const [callers] = parent?.metadata.get('authorization') ?? [];
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  else if (callers !== undefined) metadata.set('authorization', callers);
  return metadata;
}

function callOptions(settings: ClientSettings, { deadlineMs, parent }: CallSettings): CallOptions {
  const own = Date.now() + (deadlineMs ?? settings.deadlineMs ?? 5_000);
  return { deadline: Math.min(own, parent?.deadlineMs ?? Number.POSITIVE_INFINITY) };
}

/** Cancels `started` with its parent or signal; the result takes the listeners off again. */
function cancelOn(started: { cancel(): void }, { parent, signal }: CallSettings): () => void {
  const signals = [parent?.signal, signal].filter((one) => one !== undefined);
  const cancel = () => started.cancel();
  for (const one of signals) {
    if (one.aborted) cancel();
    else one.addEventListener('abort', cancel, { once: true });
  }
  return () => {
    for (const one of signals) one.removeEventListener('abort', cancel);
  };
}
