import { Decision, DecisionOutcome, Delivery, DeliveryStatus, Exposure, Step } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import { CHANNELS } from '#lib/channels/channels.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { PoisonError } from '#lib/stream/batch.ts';
import type { LogRecord } from '#lib/stream/frames.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { journeyStage } from '../../services/journey/src/processor.ts';
import { messagingSpec } from '../../services/messaging/src/stage.ts';
import { profileStage } from '../../services/profile/src/stage.ts';
import { segmentationStage } from '../../services/segmentation/src/stage.ts';
import { type Happened, InMemoryStage } from './in-memory-stage.ts';

/** One record of a customer's history, at its moment. */
export interface Past {
  readonly timeMs: number;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
  readonly messageId: string;
}

export interface InForce {
  readonly profile: readonly ActiveDefinition[];
  readonly segmentation: readonly ActiveDefinition[];
  /** Until `fromMs`: without the journeys that are tried. */
  readonly journeysBefore: readonly ActiveDefinition[];
  readonly journeys: readonly ActiveDefinition[];
  readonly messaging: readonly ActiveDefinition[];
}

export interface Period {
  /** The journeys that are tried are on from here, milliseconds since 1970. */
  readonly fromMs: number;
  /** Time runs to here. */
  readonly toMs: number;
}

/** What a run tells as it happens. */
export interface Observer {
  step(customerId: string, timeMs: number, step: Step): void;
  exposure(customerId: string, timeMs: number, exposure: Exposure): void;
  decision(customerId: string, timeMs: number, decision: Decision): void;
  /** A record or timer the services would have put into the dead letters. */
  refused(customerId: string, at: string, reason: string): void;
}

/** Events journeys may derive from one another at one moment. */
const MAX_DERIVED = 1_000;

/** Records of one customer that may fail before the customer is given up. */
const MAX_POISON = 100;

/**
 * The shop for one customer after another: profile, segmentation, journey and messaging as the services run them, on the event
 * clock. Every provider takes every message at once. Nothing is stored and nothing leaves.
 */
export class World {
  readonly #profile;
  readonly #segmentation;
  readonly #journey;
  readonly #messaging;
  readonly #period: Period;
  readonly #observer: Observer;
  #customerId = '';
  /** What an abandoned attempt told is not told again. */
  #told: (() => void)[] = [];
  /** Message ids of what journeys said of the customer: history has what they said then, under the same ids. */
  readonly #derived = new Set<string>();

  constructor(timeZone: string, inForce: InForce, period: Period, observer: Observer) {
    this.#profile = new InMemoryStage(profileStage(timeZone), [inForce.profile]);
    this.#segmentation = new InMemoryStage(segmentationStage(new ShopZone(timeZone)), [inForce.segmentation]);
    this.#journey = new InMemoryStage(journeyStage(timeZone), [inForce.journeysBefore, inForce.journeys]);
    // Whatever journeys name: what a cluster is configured for is not known here.
    const channels = new Set(CHANNELS.keys());
    this.#messaging = new InMemoryStage(messagingSpec({ shopTimeZone: timeZone, channels }), [inForce.messaging]);
    this.#period = period;
    this.#observer = observer;
  }

  /** Plays a customer's history, in order of time. */
  play(customerId: string, history: readonly Past[]): void {
    this.#customerId = customerId;
    const poison = new Map<string, string>();
    for (;;) {
      this.#told = [];
      try {
        this.#attempt(history, poison);
        break;
      } catch (error) {
        if (!(error instanceof PoisonError) || poison.size >= MAX_POISON) throw error;
        poison.set(error.at, error.message);
      }
    }
    for (const tell of this.#told) tell();
    for (const [at, reason] of poison) this.#observer.refused(customerId, at, reason);
  }

  #attempt(history: readonly Past[], poison: ReadonlyMap<string, string>): void {
    const { fromMs, toMs } = this.#period;
    for (const stage of [this.#profile, this.#segmentation, this.#journey, this.#messaging]) stage.begin(poison);
    this.#derived.clear();
    let started = false;
    const start = () => {
      if (started) return;
      started = true;
      this.#passTo(fromMs - 1);
      this.#journey.enter(1);
    };
    let now = Number.NEGATIVE_INFINITY;
    for (const { timeMs, kind, body, messageId } of history) {
      now = Math.max(now, timeMs);
      if (now > toMs) break;
      if (now >= fromMs) start();
      this.#passTo(now);
      if (this.#derived.has(messageId)) continue;
      this.#happen(now, [{ customerId: this.#customerId, kind, body }]);
    }
    start();
    this.#passTo(toMs);
  }

  /** Fires timers up to and including a moment, in the order of their moments. */
  #passTo(untilMs: number): void {
    for (;;) {
      const due = Math.min(
        ...[this.#profile.nextDue, this.#segmentation.nextDue, this.#journey.nextDue, this.#messaging.nextDue],
      );
      if (due > untilMs) return;
      this.#happen(due, []);
    }
  }

  /** A record at its moment, then what journeys say of the customer because of it. */
  #happen(timeMs: number, records: readonly Happened[]): void {
    let derived = this.#stages(timeMs, records);
    for (let count = 0; derived.length > 0; count += derived.length) {
      if (count > MAX_DERIVED) {
        const customerId = this.#customerId;
        this.#told.push(() =>
          this.#observer.refused(customerId, `${timeMs}`, 'journeys derive events from one another without end'),
        );
        return;
      }
      derived = derived.flatMap((body) => {
        const { messageId } = Event.decode(body);
        if (this.#derived.has(messageId)) return [];
        this.#derived.add(messageId);
        return this.#stages(timeMs, [{ customerId: this.#customerId, kind: RecordKind.RECORD_KIND_EVENT, body }]);
      });
    }
  }

  /** One moment: each stage gets the record and what the stage before made of it. Returns events journeys derived. */
  #stages(timeMs: number, records: readonly Happened[]): Uint8Array[] {
    const facts = this.#profile.run(timeMs, records);
    const moves = this.#segmentation.run(timeMs, [...records, ...facts]);
    const steps = this.#journey.run(timeMs, [...records, ...moves]);
    for (const record of steps) this.#tell(record);
    for (const record of this.#messaging.run(timeMs, [...records, ...steps])) this.#tell(record);
    while (this.#messaging.pending.size > 0) this.#deliver(timeMs);
    return steps.filter(({ kind }) => kind === RecordKind.RECORD_KIND_DERIVED).map(({ body }) => body);
  }

  #deliver(timeMs: number): void {
    const outcomes = [...this.#messaging.pending].map(([key, work]): Happened => {
      const { request } = SendWork.decode(work);
      const { journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant } = request ?? {};
      const sent = Delivery.fromPartial({
        ...{ idempotencyKey: key, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant },
        status: DeliveryStatus.DELIVERY_STATUS_SENT,
        attempts: 1,
      });
      const body = Delivery.encode(sent).finish();
      return { customerId: this.#customerId, kind: RecordKind.RECORD_KIND_DELIVERY, body, settles: key };
    });
    for (const record of this.#messaging.run(timeMs, outcomes)) this.#tell(record);
  }

  #tell({ customerId, kind, timeMs, body }: LogRecord): void {
    const observer = this.#observer;
    if (kind === RecordKind.RECORD_KIND_STEP) {
      const step = Step.decode(body);
      this.#told.push(() => observer.step(customerId, timeMs, step));
    } else if (kind === RecordKind.RECORD_KIND_EXPOSURE) {
      const exposure = Exposure.decode(body);
      this.#told.push(() => observer.exposure(customerId, timeMs, exposure));
    } else if (kind === RecordKind.RECORD_KIND_DECISION) {
      const decision = Decision.decode(body);
      this.#told.push(() => observer.decision(customerId, timeMs, decision));
    }
  }
}

export const isSend = ({ outcome }: Decision): boolean => outcome === DecisionOutcome.DECISION_OUTCOME_SEND;
