import { AsyncResource } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Http2Session, Http2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { Http2SubchannelConnector } from '@grpc/grpc-js/build/src/transport.js';

/*
 * What lets the objects of ended calls of Node's HTTP/2 die young: those of clients, and of the few a server
 * leaves to grpc-js. Without it, every one of them lives until the next full collection: each
 * scavenge copies all of it (10 to 25 ms, twice a second at 2,000 calls/s), the old space grows by 5 to 9 kB a call, and
 * marking it stops the process for a tenth of a second. Four things in the old generation held it:
 *
 * - V8 puts a function that is assigned to a property right where it is written (`this.onwrite = (er) => …`, in the
 *   constructor of every Writable) into the old generation at once. From there it keeps its stream, and all that hangs on
 *   it, whether anything needs it or not. So a stream that has closed lets go of what hangs on it.
 * - A Map or Set that grows or shrinks moves to a new table, and the old table keeps pointing at the new one and at what it
 *   held itself. Once one of them is old, all that follow are kept, with every call that was under way at such a moment:
 *   with few calls at a time nearly each.
 * - A function bound by AsyncResource gets accessors of its own, therefore a hidden class of its own, which is always old.
 * - Where most objects of a place in the code once survived, as while a backlog is worked off, V8 makes the next ones in the
 *   old generation from the start. Each of them keeps what it points at: `{ customerId, state }` its state.
 *
 * What is left is some 1.3 kB of a call, caller and server together: the emptied stream, and the texts of its headers, which V8
 * makes old.
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
  const { stream } = message as { stream: Http2Stream };
  stream.on('close', onClose);
  if (stream.session !== undefined && !kept.has(stream.session)) keepStreamsInArrays(stream.session);
}

const kept = new WeakSet<Http2Session>();

interface SessionState {
  streams: Map<number, Http2Stream> | StreamsById;
  pendingStreams: Iterable<Http2Stream & Placed>;
}

/** Node has the streams of a connection in a Map, and those without a number yet in a Set. */
function keepStreamsInArrays(session: Http2Session): void {
  kept.add(session);
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  const state = key && (session as unknown as Record<symbol, SessionState | undefined>)[key];
  if (state === undefined) return;
  const streams = new StreamsById();
  for (const [id, stream] of state.streams as Map<number, Http2Stream>) streams.set(id, stream);
  state.streams = streams;
  const pending = new Unordered<Http2Stream & Placed>();
  for (const stream of state.pendingStreams) pending.add(stream);
  state.pendingStreams = pending;
}

function onClose(this: Http2Stream): void {
  // Those who listen to "close" look at the stream once more on the next tick.
  setImmediate(emptyStream, this);
}

/** Fields of a stream that nobody reads any more; by the names of their symbols. */
const UNREAD = new Set(['sent-headers', 'raw-headers', 'sent-trailers', 'requestAsyncResource']);

interface StreamStates {
  _readableState: unknown;
  _writableState: unknown;
}

/** Its states are those of all streams that have closed. */
const closed = new Duplex().destroy() as unknown as StreamStates;

/** Leaves whether and how it closed. */
function emptyStream(stream: Http2Stream): void {
  const fields = stream as unknown as StreamStates & Record<string | symbol, unknown>;
  // Instead of removeAllListeners(), which tells each listener's removal to another listener.
  fields._events = { error: ignore };
  fields._eventsCount = 1;
  fields._readableState = closed._readableState;
  fields._writableState = closed._writableState;
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
    (transport as unknown as { activeCalls: Unordered<Placed> }).activeCalls = new Unordered<Placed>();
    return transport;
  };
}

const place = Symbol('place');
interface Placed {
  [place]?: number;
}

/** What grpc-js and Node use of a Set. Its room is never given back. */
class Unordered<T extends Placed> {
  readonly #items: (T | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    item[place] = this.#size;
    this.#items[this.#size++] = item;
  }

  delete(item: T): void {
    const at = item[place];
    if (at === undefined || this.#items[at] !== item) return;
    const last = this.#items[--this.#size] as T;
    this.#items[at] = last;
    last[place] = at;
    this.#items[this.#size] = undefined;
  }

  forEach(visit: (item: T) => void): void {
    for (const item of this) visit(item);
  }

  /** Over those there are now, also when they are deleted meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return (this.#items.slice(0, this.#size) as T[])[Symbol.iterator]();
  }
}

/** Of no stream. */
const FREE = -1;

/** What Node uses of a Map of streams by their numbers. Its room is never given back. */
class StreamsById {
  readonly #ids: number[] = [];
  readonly #streams: (Http2Stream | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Stream | undefined {
    const at = this.#ids.indexOf(id);
    return at === -1 ? undefined : this.#streams[at];
  }

  set(id: number, stream: Http2Stream): void {
    this.#ids[this.#size] = id;
    this.#streams[this.#size++] = stream;
  }

  delete(id: number): void {
    const at = this.#ids.indexOf(id);
    if (at === -1) return;
    const last = --this.#size;
    this.#ids[at] = this.#ids[last] as number;
    this.#streams[at] = this.#streams[last];
    this.#ids[last] = FREE;
    this.#streams[last] = undefined;
  }

  forEach(visit: (stream: Http2Stream) => void): void {
    for (const stream of this.#streams.slice(0, this.#size)) visit(stream as Http2Stream);
  }
}
