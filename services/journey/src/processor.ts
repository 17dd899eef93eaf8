import type { JourneyState } from '#gen/recur/journey/v1/state.ts';
import { ClassChange, EnrolmentsMoved, Exposure, SegmentChange, SendRequest, Step } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Span } from '#lib/stream/frames.ts';
import type {
  Context,
  DefinitionChange,
  Effects,
  Input,
  Processor,
  StageSpec,
  Unmerge,
} from '#lib/stream/processor.ts';
import { absorbState } from './core/absorb.ts';
import { endWait } from './core/advance.ts';
import { type Compiled, type CompiledJourneys, compileJourneys, DEFINITION_KIND } from './core/compile.ts';
import { mayCarryTraits, peekEventName } from './core/event/peek.ts';
import { SeenEvent } from './core/event/seen.ts';
import { occasionOf, onOccasion } from './core/occasion.ts';
import { partState } from './core/part.ts';
import { placeOf } from './core/place.ts';
import { onClass, onEvent, onSegment } from './core/react.ts';
import type { JourneyEffects, Run } from './core/run.ts';
import { emptyState, enrolmentIn, stateCodec } from './core/state.ts';
import { sweepJourney } from './core/sweep.ts';

type JourneyContext = Context<CompiledJourneys>;

/**
 * The way of a record: most events are not waited for by any journey and do not come here at all. Timer ids are journey ids; of
 * moments that let customers in, those after an "@".
 */
export class JourneyProcessor implements Processor<JourneyState, CompiledJourneys> {
  readonly #timeZone: string;
  readonly #open: Open;

  /** @param timeZone IANA name of the shop's time zone. */
  constructor(timeZone: string, open: Open) {
    this.#timeZone = timeZone;
    this.#open = open;
  }

  concerns(kind: RecordKind, { bytes, from, to }: Span, { wantedEvents, byClass }: CompiledJourneys): boolean {
    if (kind === RecordKind.RECORD_KIND_EVENT) return wantedEvents.has(bytes, from, to);
    return kind === RecordKind.RECORD_KIND_SEGMENT || (kind === RecordKind.RECORD_KIND_CLASS && byClass.size > 0);
  }

  process(state: JourneyState | undefined, input: Input, ctx: JourneyContext, out: Effects): JourneyState | undefined {
    switch (input.kind) {
      case RecordKind.RECORD_KIND_EVENT: {
        const name = peekEventName(input.bytes, input.from, input.to);
        if (name === undefined || !(ctx.definitions.eventNames.has(name) || mayCarryTraits(name))) return undefined;
        const run = this.#run(state, ctx, out, input);
        return onEvent(run, new SeenEvent(name, input.body)) ? run.state : undefined;
      }
      case RecordKind.RECORD_KIND_SEGMENT: {
        const run = this.#run(state, ctx, out, input);
        return onSegment(run, SegmentChange.decode(input.body)) ? run.state : undefined;
      }
      case RecordKind.RECORD_KIND_CLASS: {
        const run = this.#run(state, ctx, out, input);
        return onClass(run, ClassChange.decode(input.body)) ? run.state : undefined;
      }
      default:
        return undefined;
    }
  }

  onTimer(state: JourneyState, timerId: string, ctx: JourneyContext, out: Effects): JourneyState | undefined {
    const journeyId = occasionOf(timerId);
    if (journeyId !== undefined) return onOccasion(this.#run(state, ctx, out), journeyId) ? state : undefined;
    const enrolment = enrolmentIn(state, timerId);
    if (enrolment === undefined || enrolment.dueMs === 0 || enrolment.dueMs > ctx.now) return undefined;
    const place = placeOf(this.#run(state, ctx, out), enrolment);
    if (place !== undefined) endWait(place);
    return state;
  }

  absorb(
    state: JourneyState | undefined,
    from: JourneyState,
    _fromId: string,
    ctx: JourneyContext,
    out: Effects,
  ): JourneyState {
    const run = this.#run(state, ctx, out);
    absorbState(run, from);
    return run.state;
  }

  /** The hold-out is asked when a message is due: nobody has to hear that it changed. */
  sweeps({ kind }: DefinitionChange): boolean {
    return kind === DEFINITION_KIND;
  }

  sweep(state: JourneyState, change: DefinitionChange, ctx: JourneyContext, out: Effects): JourneyState | undefined {
    if (change.kind !== DEFINITION_KIND) return undefined;
    return sweepJourney(this.#run(state, ctx, out), change.id, change.deleted) ? state : undefined;
  }

  readonly unmerge: Unmerge<JourneyState, CompiledJourneys> = {
    late: 'return',
    restart: (state, { departed }, ctx, out) => {
      if (state === undefined) return undefined;
      for (const [customerId, part] of partState(this.#run(state, ctx, out), departed)) {
        const enrolments = [...part.enrolments, ...part.past].map((e) => e.enrolmentId);
        if (enrolments.length > 0 || part.traits.length > 0) out.handOver(customerId, stateCodec.encode(part));
        if (enrolments.length === 0) continue;
        const moved = EnrolmentsMoved.encode({ customerId, enrolmentIds: enrolments }).finish();
        out.emit(RecordKind.RECORD_KIND_ENROLMENTS_MOVED, moved);
      }
      return state;
    },
  };

  #run(state: JourneyState | undefined, ctx: JourneyContext, out: Effects, at = NOWHERE): Run {
    return {
      at,
      now: ctx.now,
      customerId: ctx.customerId,
      timeZone: this.#timeZone,
      journeys: ctx.definitions,
      state: state ?? emptyState(),
      effects: new EncodedEffects(out),
      open: this.#open,
    };
  }
}

/** Plain text of a sealed value; undefined when it cannot be opened. */
export type Open = (sealed: Uint8Array) => string | undefined;

const NOWHERE = { seq: 0, index: 0 };

/** Core's effects as records of the log. */
class EncodedEffects implements JourneyEffects {
  readonly #out: Effects;

  constructor(out: Effects) {
    this.#out = out;
  }

  step(step: Step): void {
    this.#out.emit(RecordKind.RECORD_KIND_STEP, Step.encode(step).finish());
  }

  exposure(exposure: Exposure): void {
    this.#out.emit(RecordKind.RECORD_KIND_EXPOSURE, Exposure.encode(exposure).finish());
  }

  send(request: SendRequest): void {
    this.#out.emit(RecordKind.RECORD_KIND_SEND, SendRequest.encode(request).finish());
  }

  derive(event: Event): void {
    this.#out.emit(RecordKind.RECORD_KIND_DERIVED, Event.encode(event).finish());
  }

  setTimer(journeyId: string, dueMs: number): void {
    this.#out.setTimer(journeyId, dueMs);
  }

  cancelTimer(journeyId: string): void {
    this.#out.cancelTimer(journeyId);
  }
}

/** The journey stage as the kit runs it. */
export function journeyStage(
  timeZone: string,
  open: Open = () => undefined,
): StageSpec<JourneyState, CompiledJourneys> {
  const compiled: Compiled = new Map();
  return {
    stage: 'journey',
    codec: stateCodec,
    processor: new JourneyProcessor(timeZone, open),
    definitions: { compile: (active) => compileJourneys(active, compiled) },
  };
}
