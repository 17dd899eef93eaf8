import type { Event as SentEvent } from '#gen/recur/ingest/v1/event.ts';
import type {
  AdvanceClockRequest,
  AdvanceClockResponse,
  IngestServiceService,
  SendEventRequest,
  SendEventResponse,
  SendEventsRequest,
  SendEventsResponse,
  StreamEventsRequest,
  StreamEventsResponse,
} from '#gen/recur/ingest/v1/ingest_service.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, type RpcError, resourceExhausted, unavailable } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { MAX_EVENTS } from '../core/limits.ts';
import { type Clock, timeRule } from '../core/time.ts';
import { Violations } from '../core/violations.ts';
import type { IngestMetrics } from '../metrics.ts';
import { type Accepted, type Intake, LogRefusal } from '../processor.ts';
import { messageOf, protoField } from './messages.ts';

export interface IngestServiceParts {
  readonly intake: Intake;
  readonly metrics: IngestMetrics;
  readonly clock: Clock;
  /** Puts a time into the log that event time has reached at least. */
  readonly advanceClock: (timeMs: number) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const SOURCE = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Messages of one stream that wait for the log; beyond, the stream is not read on. */
const STREAM_WINDOW = 8;

export class IngestService implements Handlers<typeof IngestServiceService> {
  readonly #parts: IngestServiceParts;

  constructor(parts: IngestServiceParts) {
    this.#parts = parts;
  }

  async sendEvent({ event, sentAtMs }: SendEventRequest, call: Call): Promise<SendEventResponse> {
    const events = event === undefined ? [] : [event];
    const { messageIds } = await this.#store(events, sentAtMs, call, () => 'event');
    return { messageId: messageIds[0] as string };
  }

  async sendEvents({ events, sentAtMs }: SendEventsRequest, call: Call): Promise<SendEventsResponse> {
    const { messageIds } = await this.#store(events, sentAtMs, call, (index) => `events[${index}]`);
    return { messageIds: [...messageIds] };
  }

  async streamEvents(requests: AsyncIterable<StreamEventsRequest>, call: Call): Promise<StreamEventsResponse> {
    let stored = 0;
    let failure: unknown;
    const underway = new Set<Promise<void>>();
    for await (const { events, sentAtMs } of requests) {
      if (failure !== undefined) break;
      const work = this.#store(events, sentAtMs, call, (index) => `events[${index}]`)
        .then((accepted) => {
          stored += accepted.records.length;
        })
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => underway.delete(work));
      underway.add(work);
      if (underway.size >= STREAM_WINDOW) await Promise.race(underway);
    }
    await Promise.all(underway);
    if (failure !== undefined) throw failure;
    return { storedEvents: stored };
  }

  async advanceClock({ timeMs }: AdvanceClockRequest): Promise<AdvanceClockResponse> {
    const { clock, now, advanceClock } = this.#parts;
    if (clock !== 'event') throw failedPrecondition('The clock of this cluster is live: it advances by itself.');
    const rule = timeRule(timeMs, now(), clock);
    if (rule !== undefined) throw invalidArgument([{ field: 'time_ms', description: `${timeMs} ${rule}` }]);
    await advanceClock(timeMs).catch(refuse);
    return {};
  }

  async #store(
    events: readonly SentEvent[],
    sentAtMs: number,
    call: Call,
    at: (index: number) => string,
  ): Promise<Accepted> {
    const { intake, metrics } = this.#parts;
    const caller = sourceOfCaller(call);
    const violations = new Violations();
    const accepted = this.#accept(events, sentAtMs, caller, violations);
    if (accepted === undefined) {
      metrics.refusedRequest(caller, 'invalid');
      throw invalidArgument(
        violations.list.map(({ index, field, value, rule }) => ({
          field: index < 0 ? field : `${at(index)}${field === '' ? '' : `.${protoField(field)}`}`,
          description: `${value} ${rule}`,
        })),
      );
    }
    try {
      await intake.store(accepted);
    } catch (error) {
      if (error instanceof LogRefusal) metrics.refusedRequest(caller, error.reason);
      return refuse(error);
    }
    metrics.accepted(accepted);
    return accepted;
  }

  #accept(
    events: readonly SentEvent[],
    sentAtMs: number,
    caller: string,
    violations: Violations,
  ): Accepted | undefined {
    if (events.length === 0) violations.add('event', undefined, 'is needed: at least one');
    if (events.length > MAX_EVENTS)
      violations.add('events', `${events.length} events`, `must be at most ${MAX_EVENTS}`);
    if (violations.count > 0) return undefined;
    const receivedAtMs = this.#parts.now();
    const sentAt = sentAtMs === 0 ? undefined : sentAtMs;
    const messages = events.map((event, index) => {
      violations.index = index;
      if (event.source !== '' && !SOURCE.test(event.source)) {
        violations.add('source', event.source, 'must be 1 to 63 of a-z, 0-9, "_" and "-"');
      }
      if (event.type <= EventType.EVENT_TYPE_UNSPECIFIED || event.type > EventType.EVENT_TYPE_ALIAS) {
        violations.add('type', event.type, 'must be one of the event types');
      }
      return messageOf(event, violations);
    });
    violations.index = -1;
    if (violations.count > 0) return undefined;
    const given = events.map(({ type, source }) => ({ type, source: source || caller }));
    return this.#parts.intake.accept(
      messages,
      given,
      { receivedAtMs, sentAt, context: undefined, careful: true },
      violations,
    );
  }
}

/** The token's name, which may have other characters than a source. */
function sourceOfCaller({ principal }: Call): string {
  const source = principal.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '-')
    .slice(0, 63);
  return SOURCE.test(source) ? source : 'grpc';
}

function refuse(error: unknown): never {
  if (!(error instanceof LogRefusal)) throw error;
  const { reason, message, retryAfterMs } = error;
  const refusal: RpcError =
    reason === 'full' ? resourceExhausted(retryAfterMs, message) : unavailable(message, { retryAfterMs, cause: error });
  throw refusal;
}
