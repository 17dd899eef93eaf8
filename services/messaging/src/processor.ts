import {
  DecisionOutcome,
  Delivery,
  DeliveryStatus,
  EnrolmentsMoved,
  SendRequest,
  Step,
  StepAction,
} from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import type { Span } from '#lib/stream/frames.ts';
import type { Context, Effects, Input, Processor, Unmerge } from '#lib/stream/processor.ts';
import { SILENT } from '#lib/stream/silent.ts';
import { addressFor } from './core/channels.ts';
import { applyIdentify } from './core/contact.ts';
import { decide, isMarketing, mayFallBack, type Verdict, zoneOf } from './core/decide.ts';
import type { Definitions, TemplateInForce } from './core/definitions.ts';
import { type EventInterest, interestOf } from './core/event-scan.ts';
import { count } from './core/frequency-cap.ts';
import { ADDRESS_GONE, suppressGone } from './core/gone.ts';
import { fallbackOf, isKnown, keyHash, MAX_UNDER_WAY, note, remember } from './core/ledger.ts';
import { emptyState, merge } from './core/merge.ts';
import { ledgerOf, partLedger } from './core/part.ts';
import { nextQuiet } from './core/quiet-hours.ts';
import { RECALLED, recall } from './core/recall.ts';
import { applyReceipt, isProven } from './core/receipts.ts';
import { decisionOf, intentOf, settledOf, workOf } from './core/records.ts';
import { MessagingState } from './core/state.ts';
import { stepActionOf } from './core/step-scan.ts';
import { applyWish, propertiesOf, UnusableEventError } from './core/wishes.ts';

const DEFER_TIMER = 'defer:';
const MAX_DEFERRALS = 10;
const MAX_KEY_LENGTH = 256;

const NO_ADDRESS = new Uint8Array(0);

/** Besides events and steps, of which few mean anything. */
const TAKEN: ReadonlySet<RecordKind> = new Set([
  RecordKind.RECORD_KIND_SEND,
  RecordKind.RECORD_KIND_DELIVERY,
  RecordKind.RECORD_KIND_ENROLMENTS_MOVED,
]);

type Ctx = Context<Definitions>;

/** A request, and its bytes where it is as it came. */
interface Asked {
  readonly request: SendRequest;
  readonly bytes?: Uint8Array;
}

/**
 * The way of a record: an event tells how and whether to reach the customer; a request is decided, and sent, put off or
 * dropped; an outcome closes what was sent.
 */
export class MessagingProcessor implements Processor<MessagingState, Definitions> {
  private readonly shopTimeZone: string;
  private readonly channels: ReadonlySet<string>;

  /** @param channels those this cluster is configured for */
  constructor(shopTimeZone: string, channels: ReadonlySet<string>) {
    this.shopTimeZone = shopTimeZone;
    this.channels = channels;
  }

  concerns(kind: RecordKind, { bytes, from, to }: Span): boolean {
    switch (kind) {
      case RecordKind.RECORD_KIND_EVENT:
        return interestOf(bytes, from, to) !== undefined;
      case RecordKind.RECORD_KIND_STEP:
        return stepActionOf(bytes, from, to) === StepAction.STEP_ACTION_RECALLED;
      default:
        return TAKEN.has(kind);
    }
  }

  process(state: MessagingState | undefined, input: Input, ctx: Ctx, out: Effects): MessagingState | undefined {
    switch (input.kind) {
      case RecordKind.RECORD_KIND_EVENT:
        return this.event(state, input.body, ctx, out);
      case RecordKind.RECORD_KIND_SEND:
        return this.request(state, { request: SendRequest.decode(input.body), bytes: input.body }, ctx, out);
      case RecordKind.RECORD_KIND_DELIVERY:
        return this.outcome(state, input.body, ctx, out);
      case RecordKind.RECORD_KIND_STEP:
        return this.step(state, input.body, ctx, out);
      case RecordKind.RECORD_KIND_ENROLMENTS_MOVED:
        return this.moved(state, EnrolmentsMoved.decode(input.body), out);
      default:
        return undefined;
    }
  }

  /** Wishes and addresses are those of the customer's own events; what was sent goes with the enrolment it was sent for. */
  readonly unmerge: Unmerge<MessagingState, Definitions> = {
    late: 'return',
    restart: (state) => state && MessagingState.of(ledgerOf(state)),
    replay: (state, { kind, body }, ctx) =>
      kind === RecordKind.RECORD_KIND_EVENT ? this.event(state, body, ctx, SILENT) : undefined,
  };

  /** Most customers have nothing that waits: for them nothing is read. */
  private step(
    state: MessagingState | undefined,
    body: Uint8Array,
    ctx: Ctx,
    out: Effects,
  ): MessagingState | undefined {
    if (!state || (state.deferred.length === 0 && state.withFallback.length === 0)) return undefined;
    const { action, enrolmentId, reason } = Step.decode(body);
    if (action !== StepAction.STEP_ACTION_RECALLED) return undefined;
    const { requests, changed } = recall(state, enrolmentId);
    for (const request of requests) {
      out.cancelTimer(DEFER_TIMER + request.idempotencyKey);
      const why = `${RECALLED}${reason}`.slice(0, 200);
      note(state, request, MessageStatus.MESSAGE_STATUS_DROPPED, why, ctx.now);
      emitDecision(out, request, DecisionOutcome.DECISION_OUTCOME_DROP, why, 0);
    }
    return changed ? state : undefined;
  }

  private moved(
    state: MessagingState | undefined,
    { customerId, enrolmentIds }: EnrolmentsMoved,
    out: Effects,
  ): MessagingState | undefined {
    if (!state) return undefined;
    const { gone, cancelled } = partLedger(state, new Set(enrolmentIds));
    for (const key of cancelled) out.cancelTimer(DEFER_TIMER + key);
    out.handOver(customerId, MessagingState.encode(MessagingState.of(gone)));
    return state;
  }

  private event(
    state: MessagingState | undefined,
    body: Uint8Array,
    ctx: Ctx,
    out: Effects,
  ): MessagingState | undefined {
    const interest = interestOf(body);
    if (!interest) return undefined;
    const event = Event.decode(body);
    const next = state ?? emptyState();
    try {
      const changed =
        interest === 'identify'
          ? applyIdentify(next, event, ctx.definitions.traits)
          : this.said(next, interest, event, out);
      return changed ? next : undefined;
    } catch (error) {
      if (!(error instanceof UnusableEventError)) throw error;
      out.deadLetter(error.message);
      return undefined;
    }
  }

  /** What a customer, a provider or somebody of the shop said. */
  private said(state: MessagingState, interest: EventInterest, event: Event, out: Effects): boolean {
    const properties = propertiesOf(event);
    const wished = applyWish(state, interest, event, properties);
    const { changed, settled } = applyReceipt(state, interest, properties, event.timeMs);
    if (settled) {
      if (settled.status === MessageStatus.MESSAGE_STATUS_FAILED) uncount(state, settled.idempotencyKey);
      out.emit(RecordKind.RECORD_KIND_DELIVERY, settledOf(settled));
    }
    return wished || changed;
  }

  private request(state: MessagingState | undefined, asked: Asked, ctx: Ctx, out: Effects): MessagingState | undefined {
    const key = asked.request.idempotencyKey;
    if (key === '' || key.length > MAX_KEY_LENGTH) {
      out.deadLetter(`idempotency_key must have 1–${MAX_KEY_LENGTH} characters, has ${key.length}`);
      return undefined;
    }
    const next = state ?? emptyState();
    if (isKnown(next, key)) return undefined;
    remember(next, key);
    const full = next.underWay >= MAX_UNDER_WAY;
    if (full) this.carryOut(next, asked, { outcome: 'drop', reason: 'too_many_under_way' }, 0, ctx, out);
    else this.tryChannels(next, asked, 0, ctx, out);
    return next;
  }

  /** Decides; where the channel certainly reaches nobody, the next one asked for is tried. */
  private tryChannels(state: MessagingState, asked: Asked, deferrals: number, ctx: Ctx, out: Effects): void {
    for (let request: SendRequest | undefined = asked.request; request; request = fallbackOf(request)) {
      const isFirst = request === asked.request;
      if (!isFirst) remember(state, request.idempotencyKey);
      const verdict = this.decide(state, request, ctx);
      this.carryOut(state, isFirst ? asked : { request }, verdict, isFirst ? deferrals : 0, ctx, out);
      if (verdict.outcome !== 'drop' || !mayFallBack(verdict.reason)) return;
    }
  }

  onTimer(state: MessagingState, timerId: string, ctx: Ctx, out: Effects): MessagingState | undefined {
    if (!timerId.startsWith(DEFER_TIMER)) return undefined;
    const key = timerId.slice(DEFER_TIMER.length);
    const at = state.deferred.findIndex((d) => d.request?.idempotencyKey === key);
    const deferred = state.deferred[at];
    if (!deferred?.request) return undefined;
    state.deferred.splice(at, 1);
    this.tryChannels(state, { request: deferred.request }, deferred.times, ctx, out);
    return state;
  }

  private decide(state: MessagingState, request: SendRequest, ctx: Ctx): Verdict {
    const { policy } = ctx.definitions;
    const { shopTimeZone, channels } = this;
    const template = templateOf(request, ctx)?.template;
    return decide(state, request, { now: ctx.now, policy, shopTimeZone, channels, template });
  }

  private carryOut(
    state: MessagingState,
    asked: Asked,
    verdict: Verdict,
    deferrals: number,
    ctx: Ctx,
    out: Effects,
  ): void {
    const { now } = ctx;
    const { request } = asked;
    if (verdict.outcome === 'defer' && deferrals < MAX_DEFERRALS) {
      state.deferred.push({ request, untilMs: verdict.untilMs, times: deferrals + 1 });
      out.setTimer(DEFER_TIMER + request.idempotencyKey, verdict.untilMs);
      note(state, request, MessageStatus.MESSAGE_STATUS_DEFERRED, verdict.reason, now);
      emitDecision(out, request, DecisionOutcome.DECISION_OUTCOME_DEFER, verdict.reason, verdict.untilMs);
      return;
    }
    const template = templateOf(request, ctx);
    if (verdict.outcome !== 'send' || !template) {
      const reason = verdict.outcome === 'drop' ? verdict.reason : 'deferred_too_often';
      note(state, request, MessageStatus.MESSAGE_STATUS_DROPPED, reason, now);
      emitDecision(out, request, DecisionOutcome.DECISION_OUTCOME_DROP, reason, 0);
      return;
    }
    this.send(state, asked, template, ctx, out);
  }

  /** Decision, intent, and the work for the adapter, which the kit hands out once all of it is stored. */
  private send(state: MessagingState, asked: Asked, template: TemplateInForce, ctx: Ctx, out: Effects): void {
    const { now, definitions } = ctx;
    const { request, bytes } = asked;
    const key = request.idempotencyKey;
    const marketing = isMarketing(request);
    if (marketing) {
      const send = {
        keyHash: keyHash(key),
        timeMs: now,
        channel: request.channel,
        category: template.template.category,
      };
      state.marketingSends = count(state.marketingSends, send, now);
    }
    if (request.fallbacks.length > 0) state.withFallback.push(request);
    note(state, request, MessageStatus.MESSAGE_STATUS_SENDING, 'ok', now);
    emitDecision(out, request, DecisionOutcome.DECISION_OUTCOME_SEND, 'ok', 0);
    out.emit(RecordKind.RECORD_KIND_DELIVERY, intentOf(request));
    const work = workOf(bytes ?? SendRequest.encode(request).finish(), {
      templateRevision: template.revision,
      addressSealed: addressFor(state, request.channel)?.sealed ?? NO_ADDRESS,
      locale: state.locale?.value || definitions.policy.defaultLocale,
      traits: state.traits,
      named: template.traits,
      decidedAtMs: now,
      notAfterMs: marketing ? nextQuiet(now, zoneOf(state, this.shopTimeZone), definitions.policy.quiet) : 0,
    });
    out.setPending(key, work);
  }

  /** What became of a send. Only the first outcome of an open send counts. */
  private outcome(
    state: MessagingState | undefined,
    body: Uint8Array,
    ctx: Ctx,
    out: Effects,
  ): MessagingState | undefined {
    const told = Delivery.decode(body);
    const key = told.idempotencyKey;
    const entry = state?.find(key);
    const proven = entry && isProven(entry) && told.status === DeliveryStatus.DELIVERY_STATUS_UNKNOWN;
    const delivery = proven ? { ...told, status: DeliveryStatus.DELIVERY_STATUS_SENT, reason: 'by receipt' } : told;
    const status = STATUS_OF[delivery.status];
    if (!state || !entry || entry.status !== MessageStatus.MESSAGE_STATUS_SENDING || !status) return undefined;
    entry.status = status;
    entry.reason = delivery.reason.slice(0, 200);
    entry.settledAtMs = ctx.now;
    entry.providerId = delivery.providerId;
    out.clearPending(key);
    out.emit(RecordKind.RECORD_KIND_DELIVERY, proven ? Delivery.encode(delivery).finish() : Buffer.from(body));
    const request = state.withFallback.find((r) => r.idempotencyKey === key);
    state.withFallback = state.withFallback.filter((r) => r !== request);
    if (status === MessageStatus.MESSAGE_STATUS_FAILED) {
      // It reached nobody, so it does not count against the cap.
      uncount(state, key);
      if (entry.reason.endsWith(ADDRESS_GONE)) suppressGone(state, entry, ctx.now);
      const other = request && fallbackOf(request);
      if (other && !isKnown(state, other.idempotencyKey)) {
        remember(state, other.idempotencyKey);
        this.tryChannels(state, { request: other }, 0, ctx, out);
      }
    }
    return state;
  }

  absorb(
    state: MessagingState | undefined,
    from: MessagingState,
    _fromId: string,
    ctx: Ctx,
    out: Effects,
  ): MessagingState {
    for (const { request, untilMs } of from.deferred) {
      if (request) out.setTimer(DEFER_TIMER + request.idempotencyKey, Math.max(untilMs, ctx.now));
    }
    return merge(state, from, ctx.now);
  }
}

const STATUS_OF: Partial<Record<DeliveryStatus, MessageStatus>> = {
  [DeliveryStatus.DELIVERY_STATUS_SENT]: MessageStatus.MESSAGE_STATUS_SENT,
  [DeliveryStatus.DELIVERY_STATUS_FAILED]: MessageStatus.MESSAGE_STATUS_FAILED,
  [DeliveryStatus.DELIVERY_STATUS_UNKNOWN]: MessageStatus.MESSAGE_STATUS_UNKNOWN,
};

function templateOf(request: SendRequest, ctx: Ctx): TemplateInForce | undefined {
  const found = ctx.definitions.templates.get(request.templateId);
  return found?.template.channel === request.channel ? found : undefined;
}

function uncount(state: MessagingState, key: string): void {
  const hash = keyHash(key);
  state.marketingSends = state.marketingSends.filter((send) => send.keyHash !== hash);
}

function emitDecision(
  out: Effects,
  request: SendRequest,
  outcome: DecisionOutcome,
  reason: string,
  untilMs: number,
): void {
  out.emit(RecordKind.RECORD_KIND_DECISION, decisionOf(request, outcome, reason, untilMs));
}
