import { stringify } from 'yaml';
import { StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import {
  ClassChange,
  EnrolmentsMoved,
  Exposure,
  SegmentChange,
  SendRequest,
  Step,
  StepAction,
} from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { type HarnessEvent, type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import { DEFINITION_KIND } from '../src/core/compile.ts';
import { parseDuration } from '../src/core/definition/duration.ts';
import { moveVersions, startLiveRoom } from '../src/core/definition/moves.ts';
import { readJourney } from '../src/core/definition/read.ts';
import { validateJourney } from '../src/core/definition/validate.ts';
import { changeJourney, type Move, moveJourney, newJourney } from '../src/core/definition/versions.ts';
import { Violations } from '../src/core/definition/violations.ts';
import { journeyStage } from '../src/processor.ts';

/** Monday, 08:00 in the shop. */
export const T0 = Date.UTC(2026, 2, 2);
export const ZONE = 'Asia/Shanghai';

/** One thing that happens, `at` a duration after T0 ("P3D"; "" is T0). */
export type Happening = { at?: string; who?: string } & (
  | {
      event: string;
      props?: object;
      amount?: number;
      order?: string;
      type?: EventType;
      age?: string;
      source?: string;
      hops?: number;
    }
  /** Traits by name; those of `sealed` are personal. `of` Recur itself, or of an identify event. */
  | { traits: Record<string, unknown>; sealed?: readonly string[]; derived?: boolean; age?: string }
  | { enters: string }
  | { leaves: string }
  | { class: [dimension: string, from: string, to: string] }
  | { mergedInto: string }
  /** `who` gets the events with these numbers back, counted from 0; the others stay. */
  | { unmergedFrom: string; own: readonly number[] }
  | { move: Move; journey?: string }
  /** One more journey. */
  | { add: object }
  /** The members of segments come in. */
  | { liveRoom: string }
  /** People under way go over to the current version. */
  | { moveVersions: Record<string, string>; journey?: string }
  /** The journey in the file form, as text or written out. */
  | { edit: string | object }
  | { delete: string }
  | { wait: true }
);

/** A shop with journeys in memory: happenings in, lines about what the stage did out. */
export class World {
  readonly harness = new ProcessorHarness(journeyStage(ZONE, (sealed) => Buffer.from(sealed).toString()));
  readonly sends: { customerId: string; request: SendRequest }[] = [];
  readonly exposures: { customerId: string; exposure: Exposure }[] = [];
  readonly derived: { customerId: string; event: Event }[] = [];
  readonly steps: { customerId: string; step: Step }[] = [];
  readonly #stored = new Map<string, StoredJourney>();
  #revision = 0;
  #now = T0;

  /** Stores and starts a journey given in the file form. */
  add(text: string): this {
    this.#launch(text);
    return this;
  }

  #launch(text: string): HarnessOutput[] {
    const journey = read(text);
    this.#stored.set(journey.id, newJourney(journey, T0));
    return this.#move(journey.id, 'start');
  }

  play(happenings: readonly Happening[]): string[] {
    return happenings.flatMap((happening) => this.happen(happening));
  }

  happen(happening: Happening): string[] {
    this.#now = Math.max(this.#now, happening.at ? T0 + ms(happening.at) : this.#now);
    const due = this.#tell(this.harness.advance(this.#now));
    return [...due, ...this.#tell(this.#put(happening, happening.who ?? 'c1'))];
  }

  #put(happening: Happening, who: string): HarnessOutput[] {
    const input = (kind: RecordKind, body: Uint8Array) => this.harness.input(who, kind, body, this.#now);
    const { RECORD_KIND_EVENT, RECORD_KIND_SEGMENT, RECORD_KIND_CLASS } = RecordKind;
    if ('traits' in happening) return input(RECORD_KIND_EVENT, encodeTraits(happening, this.#now));
    if ('event' in happening) return input(RECORD_KIND_EVENT, encodeEvent(happening, this.#now));
    if ('enters' in happening || 'leaves' in happening) {
      const segmentId = 'enters' in happening ? happening.enters : happening.leaves;
      const change = { segmentId, revision: 1, entered: 'enters' in happening };
      return input(RECORD_KIND_SEGMENT, SegmentChange.encode({ ...change, restored: false }).finish());
    }
    if ('class' in happening) {
      const [dimension, from, to] = happening.class;
      return input(
        RECORD_KIND_CLASS,
        ClassChange.encode({ dimension, from, to, reason: '', restored: false }).finish(),
      );
    }
    if ('mergedInto' in happening) return this.harness.merge(who, happening.mergedInto, this.#now);
    if ('unmergedFrom' in happening) {
      const own = new Set(happening.own);
      const { events } = this.harness;
      const whose = (event: HarnessEvent) => (own.has(events.indexOf(event)) ? who : happening.unmergedFrom);
      return this.harness.unmerge(happening.unmergedFrom, whose, this.#now);
    }
    if ('move' in happening) return this.#move(happening.journey ?? this.#only(), happening.move);
    if ('add' in happening) return this.#launch(stringify(happening.add));
    if ('liveRoom' in happening) return this.#startLiveRoom(happening.liveRoom);
    if ('moveVersions' in happening)
      return this.#moveVersions(happening.journey ?? this.#only(), happening.moveVersions);
    if ('edit' in happening) return this.#edit(happening.edit);
    if ('delete' in happening) return this.#define(happening.delete, undefined);
    return [];
  }

  #only(): string {
    return [...this.#stored.keys()][0]!;
  }

  #move(id: string, move: Move): HarnessOutput[] {
    const moved = moveJourney(this.#stored.get(id)!, move, this.#now);
    if (typeof moved === 'string') throw new Error(moved);
    return this.#define(id, moved);
  }

  #startLiveRoom(roomId: string): HarnessOutput[] {
    return [...this.#stored].flatMap(([id, stored]) => {
      const propertiesJson = Buffer.from('{}');
      const started = startLiveRoom(stored, { roomId, propertiesJson, timeMs: this.#now });
      return started === undefined ? [] : this.#define(id, started);
    });
  }

  #moveVersions(id: string, nodes: Record<string, string>): HarnessOutput[] {
    const moved = moveVersions(this.#stored.get(id)!, { fromVersions: [], nodes });
    if (moved instanceof Violations) throw new Error(JSON.stringify(moved.found));
    return this.#define(id, moved);
  }

  #edit(edited: string | object): HarnessOutput[] {
    const journey = read(typeof edited === 'string' ? edited : stringify(edited));
    const { id } = journey;
    return this.#define(id, changeJourney(this.#stored.get(id)!, journey, ['definition'], this.#now));
  }

  #define(id: string, stored: StoredJourney | undefined): HarnessOutput[] {
    if (stored) this.#stored.set(id, stored);
    const body = stored ? StoredJourney.encode(stored).finish() : new Uint8Array();
    this.#revision++;
    const definition = { kind: DEFINITION_KIND, id, revision: this.#revision, deleted: !stored, body };
    return this.harness.define(definition, this.#now);
  }

  #tell(outputs: readonly HarnessOutput[]): string[] {
    return outputs.map(({ customerId, kind, body }) => {
      if (kind === RecordKind.RECORD_KIND_SEND) {
        const request = SendRequest.decode(body);
        this.sends.push({ customerId, request });
        return `${customerId} SEND ${request.nodeId} ${request.templateId}`;
      }
      if (kind === RecordKind.RECORD_KIND_EXPOSURE) {
        const exposure = Exposure.decode(body);
        this.exposures.push({ customerId, exposure });
        const { experimentId, variant, holdOut } = exposure;
        return `${customerId} EXPOSURE ${experimentId}=${variant}${holdOut ? ' held out' : ''}`;
      }
      if (kind === RecordKind.RECORD_KIND_ENROLMENTS_MOVED) {
        const moved = EnrolmentsMoved.decode(body);
        return `${customerId} GIVES ${moved.enrolmentIds.length} TO ${moved.customerId}`;
      }
      if (kind === RecordKind.RECORD_KIND_DERIVED) {
        const event = Event.decode(body);
        this.derived.push({ customerId, event });
        return `${customerId} ${describeDerived(event)}`;
      }
      const step = Step.decode(body);
      this.steps.push({ customerId, step });
      return `${customerId} ${describe(step)}`;
    });
  }
}

function describeDerived({ type, name, traits, propertiesJson }: Event): string {
  if (type === EventType.EVENT_TYPE_TRACK) return `EMIT ${name} ${propertiesJson.toString()}`;
  return `SET ${traits.map((trait) => `${trait.name}=${trait.json.toString()}`).join(' ')}`;
}

function describe({ action, nodeId, branch, reason }: Step): string {
  const name = Object.entries(StepAction).find(([, value]) => value === action)?.[0] ?? '';
  const isAt = action === StepAction.STEP_ACTION_REACHED || action === StepAction.STEP_ACTION_MOVED;
  const node = isAt ? ` ${nodeId}` : '';
  return `${name.replace('STEP_ACTION_', '')}${node}${branch && ` >${branch}`}${reason && ` (${reason})`}`;
}

function read(text: string) {
  const { journey, violations } = readJourney(text);
  if (journey) validateJourney(journey, '', violations);
  if (!journey || violations.found.length > 0) throw new Error(JSON.stringify(violations.found, undefined, 1));
  return journey;
}

function ms(duration: string): number {
  const parsed = parseDuration(duration);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

export interface SampleEvent {
  event: string;
  props?: object;
  amount?: number;
  /** Id of the order. */
  order?: string;
  type?: EventType;
  age?: string;
  /** Its channel; `hops`: how many journeys emitted events up to it. */
  source?: string;
  hops?: number;
}

export function encodeEvent(
  { event, props, amount, order, type, age, source, hops }: SampleEvent,
  now: number,
): Uint8Array {
  return Event.encode(
    Event.fromPartial({
      messageId: 'm',
      type: type ?? EventType.EVENT_TYPE_TRACK,
      name: event,
      timeMs: now - (age ? ms(age) : 0),
      receivedAtMs: now,
      source: source ?? 'web',
      contextJson: hops === undefined ? undefined : Buffer.from(JSON.stringify({ hops })),
      commerce:
        amount === undefined ? undefined : { orderId: order ?? 'o1', amountMicros: amount * 1e6, currency: 'CNY' },
      propertiesJson: Buffer.from(JSON.stringify(props ?? {})),
    }),
  ).finish();
}

function encodeTraits(
  { traits, sealed = [], derived, age }: Extract<Happening, { traits: object }>,
  now: number,
): Uint8Array {
  const type = derived ? EventType.EVENT_TYPE_DERIVED : EventType.EVENT_TYPE_IDENTIFY;
  const list = Object.entries(traits).map(([name, value]) => {
    const text = Buffer.from(JSON.stringify(value));
    return sealed.includes(name) ? { name, sealed: text } : { name, json: text };
  });
  const timeMs = now - (age ? ms(age) : 0);
  return Event.encode(
    Event.fromPartial({ messageId: 'm', type, timeMs, receivedAtMs: now, source: 'web', traits: list }),
  ).finish();
}
