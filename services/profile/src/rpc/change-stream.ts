import { once } from 'node:events';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type {
  ChangeOfCustomer,
  StreamProfileChangesRequest,
  StreamProfileChangesResponse,
} from '#gen/recur/profile/v1/profile_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, RpcError, resourceExhausted, unavailable } from '#lib/rpc/errors.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { type LogMessage, LogReader } from '#lib/stream/log-reader.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { ChangeFilter, checkFields } from '../core/change-filter.ts';

/** Streams a replica serves at a time; each holds at most what one LogReader does, 4 MB. */
const MAX_STREAMS = 64;
/** How long a caller may be without word of the position, ms. */
const HEARTBEAT_MS = 5_000;

/** Changes of profiles, read from the log for one caller at a time, as fast as that one takes them. */
export class ChangeStreams {
  readonly #nats: NatsConnection;
  readonly #onError: (error: unknown) => void;
  #open = 0;

  constructor(nats: NatsConnection, onError: (error: unknown) => void) {
    this.#nats = nats;
    this.#onError = onError;
  }

  async *stream(
    { after, fields }: StreamProfileChangesRequest,
    call: Call,
  ): AsyncGenerator<StreamProfileChangesResponse> {
    const violations = checkFields(fields);
    if (violations.length > 0) throw invalidArgument(violations.slice(0, 20));
    if (this.#open >= MAX_STREAMS) {
      throw resourceExhausted(5_000, `This replica serves ${MAX_STREAMS} streams of changes already.`);
    }
    this.#open++;
    const from = await this.#start(after).catch((error) => {
      this.#open--;
      throw error;
    });
    const source = { js: jetstream(this.#nats), stream: STREAMS.log.name, filters: ['log.*.profile'] };
    const reader = new LogReader(source, from, this.#onError);
    try {
      yield* follow(reader, new ChangeFilter(fields), from - 1, call.signal);
    } finally {
      this.#open--;
      await reader.stop();
    }
  }

  /** The sequence to read from. */
  async #start(after: number): Promise<number> {
    try {
      const { state } = await (await jetstreamManager(this.#nats)).streams.info(STREAMS.log.name);
      if (after === 0) return state.last_seq + 1;
      if (after === 1) return Math.max(1, state.first_seq);
      if (after + 1 < state.first_seq) {
        throw failedPrecondition(`The log begins at ${state.first_seq}: what came after ${after} is gone. Read anew.`);
      }
      return after + 1;
    } catch (cause) {
      if (cause instanceof RpcError) throw cause;
      throw unavailable('The log cannot be reached.', { cause, retryAfterMs: 1_000 });
    }
  }
}

async function* follow(
  reader: LogReader,
  filter: ChangeFilter,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<StreamProfileChangesResponse> {
  let position = from;
  let toldAt = performance.now();
  yield { position, changes: [] };
  while (!signal.aborted) {
    for (const message of reader.take()) {
      position = message.seq;
      const changes = changesIn(message, filter);
      if (changes.length === 0) continue;
      toldAt = performance.now();
      yield { position, changes };
    }
    if (performance.now() - toldAt >= HEARTBEAT_MS) {
      toldAt = performance.now();
      yield { position, changes: [] };
    }
    await somethingNew(reader, toldAt + HEARTBEAT_MS - performance.now(), signal);
  }
}

function changesIn({ data }: LogMessage, filter: ChangeFilter): ChangeOfCustomer[] {
  const changes: ChangeOfCustomer[] = [];
  for (const { kind, customerId, timeMs, body } of decodeFrame(data).records) {
    const change = filter.read(kind, body);
    if (change !== undefined) changes.push({ customerId, timeMs, change });
  }
  return changes;
}

/** Waits for a message, the end of the call, or the time given. */
async function somethingNew(reader: LogReader, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), Math.max(ms, 1));
  await Promise.race([
    reader.wait(),
    once(signal, 'abort', { signal: over.signal }).catch(() => {}),
    once(over.signal, 'abort').catch(() => {}),
  ]);
  clearTimeout(timer);
  over.abort();
}
