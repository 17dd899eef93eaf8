import { AsyncResource } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Http2Stream } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { Http2SubchannelConnector } from '@grpc/grpc-js/build/src/transport.js';

/*
 * What lets the objects of ended calls die young. Without it, every one of them lives until the next full collection: each
 * scavenge copies all of it (10 to 25 ms, twice a second at 2,000 calls/s), the old space grows by 5 to 9 kB a call, and
 * marking it stops the process for a tenth of a second. Four things in the old generation held it:
 *
 * - V8 puts a function that is assigned to a property right where it is written (`this.onwrite = (er) => …`, in the
 *   constructor of every Writable) into the old generation at once. From there it keeps its stream, and all that hangs on
 *   it, whether anything needs it or not. So a stream that has closed lets go of what hangs on it.
 * - A Map or Set that grows or shrinks moves to a new table, and the old table keeps pointing at the new one and at what it
 *   held itself. Once one of them is old, all that follow are kept, with every call that was under way at such a moment.
 * - A function bound by AsyncResource gets accessors of its own, therefore a hidden class of its own, which is always old.
 * - Where most objects of a place in the code once survived, as while a backlog is worked off, V8 makes the next ones in the
 *   old generation from the start. Each of them keeps what it points at: `{ customerId, state }` its state.
 */

let released = false;

/** For all gRPC of the process, servers and clients; the last of the four for all its code. A second call does nothing. */
export function releaseEndedCalls(): void {
  if (released) return;
  released = true;
  setFlagsFromString('--no-allocation-site-pretenuring');
  subscribe('http2.server.stream.created', onCreated);
  subscribe('http2.client.stream.created', onCreated);
  bindPlainly();
  keepCallsInArrays();
}

function onCreated(message: unknown): void {
  (message as { stream: Http2Stream }).stream.on('close', onClose);
}

function onClose(this: Http2Stream): void {
  // Those who listen to "close" look at the stream once more on the next tick.
  setImmediate(emptyStream, this);
}

/** Fields of a stream that nobody reads any more; by the names of their symbols. */
const UNREAD = new Set(['sent-headers', 'raw-headers', 'sent-trailers', 'requestAsyncResource']);

/** Leaves whether and how it closed. */
function emptyStream(stream: Http2Stream): void {
  const fields = stream as unknown as Record<string | symbol, unknown>;
  // Instead of removeAllListeners(), which tells each listener's removal to another listener.
  fields._events = { error: ignore };
  fields._eventsCount = 1;
  for (const key of Object.getOwnPropertySymbols(stream)) {
    if (UNREAD.has(key.description as string)) fields[key] = undefined;
  }
}

const ignore = (): void => undefined;

/** Node binds each request's start to a resource. Here without the bound function's deprecated accessor to it. */
function bindPlainly(): void {
  const { bind } = AsyncResource.prototype;
  AsyncResource.prototype.bind = function (this: AsyncResource, start: () => unknown, ...rest: []): unknown {
    if (start.name !== 'bound requestOnConnect') return bind.call(this, start, ...rest);
    return () => this.runInAsyncScope(start);
  } as typeof bind;
}

/** grpc-js has the calls of a connection in a Set. */
function keepCallsInArrays(): void {
  const { connect } = Http2SubchannelConnector.prototype;
  Http2SubchannelConnector.prototype.connect = async function (...args) {
    const transport = await connect.apply(this, args);
    (transport as unknown as { activeCalls: ActiveCalls }).activeCalls = new ActiveCalls();
    return transport;
  };
}

const place = Symbol('place');
interface ActiveCall {
  [place]?: number;
}

/** What grpc-js uses of a Set. */
class ActiveCalls {
  readonly #calls: ActiveCall[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: ActiveCall): void {
    call[place] = this.#calls.length;
    this.#calls.push(call);
  }

  delete(call: ActiveCall): void {
    const at = call[place];
    if (at === undefined || this.#calls[at] !== call) return;
    const last = this.#calls.pop() as ActiveCall;
    if (last === call) return;
    this.#calls[at] = last;
    last[place] = at;
  }

  /** Over those there are now, also when they are deleted meanwhile. */
  [Symbol.iterator](): Iterator<ActiveCall> {
    return [...this.#calls].values();
  }
}

/** What grpc-js gives the handler of a unary call is a Writable too; once its call is over, nothing is read from it. */
export function releaseWhenOver(raw: UnaryCall): void {
  // Told at the end of every call, however it ended.
  if (raw.cancelled) emptyCall.call(raw);
  else raw.once('cancelled', emptyCall);
}

interface UnaryCall {
  readonly cancelled: boolean;
  once(event: 'cancelled', listener: (this: UnaryCall) => void): unknown;
}

function emptyCall(this: UnaryCall): void {
  const fields = this as unknown as Record<string, unknown>;
  fields.call = undefined;
  fields.request = undefined;
  fields.metadata = undefined;
  fields.trailingMetadata = undefined;
}
