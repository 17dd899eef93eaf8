import { expect, test } from 'vitest';
import { ClassChange, IdentityChange, SegmentChange } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import {
  HoldOutSettings,
  LifecycleSettings,
  MonetaryBasis,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import type { Codec } from '#lib/stream/processor.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import fc from '#tools/testkit/fast-check.ts';
import { type InForce, planCompiler } from '../src/core/in-force.ts';
import { DEFAULT_LIFECYCLE } from '../src/core/lifecycle.ts';
import { DEFAULT_RFM } from '../src/core/rfm.ts';
import { type CustomerState, stateCodec } from '../src/core/state.ts';
import { NO_HOLD_OUT } from '../src/core/view.ts';
import { SegmentationProcessor } from '../src/processor.ts';
import { type Happening, happenings, rules, visitHappenings, visitRules } from './arbitraries.ts';
import { classesAt, type Known, membershipAt } from './oracle.ts';

/** Around changes to and from summer time; in Santiago the clock skips midnight itself. */
const PLACES = [
  ['Europe/Berlin', Date.UTC(2026, 2, 27, 20)],
  ['Europe/Berlin', Date.UTC(2026, 9, 23, 20)],
  ['America/Santiago', Date.UTC(2026, 8, 4, 20)],
  ['Asia/Shanghai', Date.UTC(2026, 5, 1)],
] as const;
const IDS = ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'];

const DAY = 86_400_000;
const waits = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 3_600_000 }) },
  fc.integer({ min: 1, max: 3 * DAY }),
  fc.integer({ min: 0, max: 60 }).map((halves) => (halves * DAY) / 2),
  fc.integer({ min: 1, max: 420 * DAY }),
);

const steps = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('event' as const),
      wait: waits,
      customer: fc.constantFrom<string>('c1', 'c2'),
      happening: happenings,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), wait: waits }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('identified' as const),
      wait: waits,
      customer: fc.constantFrom<string>('c1', 'c2'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .nat({ max: IDS.length - 1 })
      .chain((n) =>
        fc.record({ kind: fc.constant('define' as const), n: fc.constant(n), rule: rules(IDS.slice(0, n)) }),
      ),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), n: fc.nat({ max: IDS.length - 1 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('rfm' as const),
      recencyDays: fc.constantFrom(1, 7, 90),
      frequency: fc.constantFrom(0, 1, 2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('lifecycle' as const),
      rhythm: fc.option(
        fc.record({
          overdueFactor: fc.constantFrom(1, 1.5),
          minPurchases: fc.constantFrom(2, 3),
          categories: fc.constantFrom<string[]>([], ['tea', 'soap']),
        }),
        { nil: undefined },
      ),
      typical: fc.constantFrom<{ category: string; days: number; intervals: number }[]>(
        [],
        [{ category: 'tea', days: 9.5, intervals: 30 }],
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold_out' as const), percent: fc.constantFrom(0, 30, 50) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'merge' as const }) },
);

function keepingCodec(): Codec<CustomerState> {
  const kept: CustomerState[] = [];
  return {
    encode: (state) => Buffer.from(String(kept.push(state) - 1)),
    decode: (bytes) => kept[Number(Buffer.from(bytes).toString())] as CustomerState,
  };
}

type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never;

/** The engine under test beside what the oracle needs to know. */
class World {
  readonly harness: ProcessorHarness<CustomerState, InForce>;
  readonly zone: ShopZone;
  readonly segments = new Map<string, Segment>();
  rfm = DEFAULT_RFM;
  lifecycle = DEFAULT_LIFECYCLE;
  holdOut = NO_HOLD_OUT;
  now: number;
  revision = 0;
  /** As a reader of the outputs sees it. */
  readonly told = new Map<string, Set<string>>();

  /** `cached`: states stay the objects they are, as in the kit's cache; else they are stored and read every time. */
  constructor(zoneName: string, start: number, cached: boolean) {
    this.zone = new ShopZone(zoneName);
    this.now = start;
    this.harness = new ProcessorHarness<CustomerState, InForce>({
      codec: cached ? keepingCodec() : stateCodec,
      processor: new SegmentationProcessor(this.zone),
      definitions: planCompiler(this.zone),
    });
  }

  known(customerId: string, state: CustomerState): Known {
    const { segments, rfm, lifecycle, holdOut, zone } = this;
    return {
      customerId,
      facts: state.facts,
      searches: state.searches,
      segments,
      rfm,
      lifecycle,
      purchases: state.purchases,
      holdOut,
      zone,
    };
  }

  define(kind: string, id: string, body: Uint8Array, deleted = false): HarnessOutput[] {
    return this.harness.define({ kind, id, revision: ++this.revision, deleted, body }, this.now);
  }

  defineSegment(segment: Segment): HarnessOutput[] {
    this.segments.set(segment.id, segment);
    return this.define('segment', segment.id, Segment.encode(segment).finish());
  }

  /** Time passes; each change must have come at exactly its moment. */
  wait(ms: number): void {
    this.now += ms;
    const outputs = this.harness.advance(this.now);
    this.follow(outputs);
    for (const { customerId, kind, body, time } of outputs) {
      const state = this.harness.state(customerId);
      if (state === undefined) continue;
      const known = this.known(customerId, state);
      if (kind === RecordKind.RECORD_KIND_SEGMENT) {
        const { segmentId, entered } = SegmentChange.decode(body);
        expect(membershipAt(known, time).includes(segmentId)).toBe(entered);
        expect(membershipAt(known, time - 1).includes(segmentId)).toBe(!entered);
      } else {
        const { dimension, from, to } = ClassChange.decode(body);
        expect(classesAt(known, time)[dimension as 'rfm' | 'lifecycle']).toBe(to);
        expect(classesAt(known, time - 1)[dimension as 'rfm' | 'lifecycle']).toBe(from);
      }
    }
  }

  follow(outputs: readonly HarnessOutput[]): void {
    for (const { customerId, kind, body } of outputs) {
      if (kind !== RecordKind.RECORD_KIND_SEGMENT) continue;
      const { segmentId, entered } = SegmentChange.decode(body);
      const set = this.told.get(customerId) ?? new Set();
      this.told.set(customerId, set);
      // Entered only when out, exited only when in.
      expect(set.has(segmentId)).toBe(!entered);
      if (entered) set.add(segmentId);
      else set.delete(segmentId);
    }
  }

  check(): void {
    expect(this.harness.deadLetters).toEqual([]);
    for (const customerId of ['c1', 'c2']) {
      const state = this.harness.state(customerId);
      if (state === undefined) continue;
      const known = this.known(customerId, state);
      const members = [...state.members.entries()].map(([id]) => id).sort();
      expect(members).toEqual(membershipAt(known, this.now));
      expect([...(this.told.get(customerId) ?? [])].sort()).toEqual(members);
      expect({ rfm: state.rfmClass, lifecycle: state.lifecycleStage }).toEqual(classesAt(known, this.now));
      const timer = [...this.harness.timers].find(([key]) => key.includes(customerId))?.[1];
      expect(timer ?? Number.POSITIVE_INFINITY).toBe(state.nextMs);
    }
  }
}

function play(world: World, script: readonly Step[]): void {
  let merged = false;
  for (const step of script) {
    if ('wait' in step) world.wait(step.wait);
    if (step.kind === 'event') {
      const event = { ...step.happening.event, timeMs: world.now - step.happening.lateMs };
      const to = merged ? 'c1' : step.customer;
      world.follow(world.harness.input(to, RecordKind.RECORD_KIND_EVENT, Event.encode(event).finish(), world.now));
    } else if (step.kind === 'identified') {
      const body = IdentityChange.encode(IdentityChange.fromPartial({ identified: true })).finish();
      world.follow(
        world.harness.input(merged ? 'c1' : step.customer, RecordKind.RECORD_KIND_IDENTITY, body, world.now),
      );
    } else if (step.kind === 'define') {
      world.follow(world.defineSegment(Segment.fromPartial({ id: IDS[step.n] as string, rule: step.rule })));
    } else if (step.kind === 'delete') {
      const id = IDS[step.n] as string;
      world.segments.delete(id);
      world.follow(world.define('segment', id, new Uint8Array(), true));
    } else if (step.kind === 'rfm') {
      const { recencyDays, frequency } = step;
      const monetaryBasis = MonetaryBasis.MONETARY_BASIS_GROSS;
      world.rfm = RfmSettings.fromPartial({ recencyDays, frequency, monetaryMicros: 30e6, monetaryBasis });
      world.follow(world.define('rfm', 'default', RfmSettings.encode(world.rfm).finish()));
    } else if (step.kind === 'lifecycle') {
      const { rhythm, typical } = step;
      world.lifecycle = LifecycleSettings.fromPartial({ ...DEFAULT_LIFECYCLE, rhythm, typical });
      world.follow(world.define('lifecycle', 'default', LifecycleSettings.encode(world.lifecycle).finish()));
    } else if (step.kind === 'hold_out') {
      world.holdOut = HoldOutSettings.fromPartial({ percent: step.percent, salt: 's' });
      world.follow(world.define('hold_out', 'default', HoldOutSettings.encode(world.holdOut).finish()));
    } else if (step.kind === 'merge' && !merged) {
      merged = true;
      world.told.delete('c2');
      world.follow(world.harness.merge('c2', 'c1', world.now));
    }
    world.check();
  }
}

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200);
const initialRules = fc.tuple(...IDS.map((_, n) => rules(IDS.slice(0, n))));

test('incremental evaluation equals evaluating everything at every step', () => {
  const script = fc.array(steps, { minLength: 1, maxLength: 25 });
  fc.assert(
    fc.property(
      fc.constantFrom(...PLACES),
      fc.boolean(),
      initialRules,
      script,
      ([zone, start], cached, initial, story) => {
        const world = new World(zone, start, cached);
        initial.forEach((rule, n) => {
          world.defineSegment(Segment.fromPartial({ id: IDS[n] as string, rule }));
        });
        play(world, story);
      },
    ),
    { numRuns: RUNS },
  );
}, 120_000);

/** Many events of few names on few days: what is kept between the events of a visit must not go stale. */
test('the same within visits', () => {
  const short = fc.oneof(
    { weight: 6, arbitrary: fc.constant(1) },
    fc.integer({ min: 1, max: 3_600_000 }),
    fc.integer({ min: 1, max: 2 * DAY }),
  );
  const event = (happening: Happening) => ({
    kind: 'event' as const,
    customer: happening.lateMs % 7 === 1 ? 'c2' : 'c1',
    happening,
  });
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.tuple(short, visitHappenings).map(([wait, h]) => ({ ...event(h), wait })) },
    { weight: 1, arbitrary: fc.constant({ kind: 'merge' as const }) },
    // Takes the definitions to others and back to what they were.
    { weight: 1, arbitrary: visitRules.map((rule) => ({ kind: 'define' as const, n: 7, rule })) },
    { weight: 1, arbitrary: fc.constant({ kind: 'delete' as const, n: 7 }) },
  );
  const initial = fc.array(visitRules, { minLength: 3, maxLength: 7 });
  const script = fc.array(step, { minLength: 10, maxLength: 40 });
  fc.assert(
    fc.property(initial, script, (first, story) => {
      const world = new World('Europe/Berlin', Date.UTC(2026, 2, 27, 20), true);
      first.forEach((rule, n) => {
        world.defineSegment(Segment.fromPartial({ id: IDS[n] as string, rule }));
      });
      play(world, story);
    }),
    { numRuns: RUNS },
  );
}, 120_000);
