import { describe, expect, it } from 'vitest';
import { StepAction } from '#gen/recur/log/v1/changes.ts';
import fc from '#tools/testkit/fast-check.ts';
import { type Happening, World } from '../test/scenario.ts';

const JOURNEY = (reentry: string) => `
id: j
definition:
  trigger: { event: { name: Signed Up } }
  reentry: ${reentry}
  start: s
  goal: { event: { name: Reviewed }, within: P9D }
  exit_when: [{ event: { name: Order Refunded } }]
  nodes:
    - id: s
      split:
        variants:
          - { id: a, weight: 2, next: m1 }
          - { id: b, weight: 1, next: w1 }
          - { id: none, weight: 1, next: end, hold_out: true }
    - { id: m1, message: { channel: email, template_id: t1, purpose: marketing, next: w1 } }
    - { id: w1, wait: { duration: P1D, next: b } }
    - id: b
      wait_for_event: { event: { name: Order Completed }, timeout: P2D, happened: m2, timed_out: m1 }
    - { id: m2, message: { channel: email, template_id: t2, purpose: marketing, next: end } }
    - { id: end, exit: {} }
`;

/** Arms depend on the id: three customers a play, from many. */
const who = fc.constantFrom('c1', 'c2', 'c3');
const name = fc.constantFrom('Signed Up', 'Signed Up', 'Order Completed', 'Order Refunded', 'Reviewed');
const action = fc.oneof(
  { weight: 12, arbitrary: fc.record({ who, event: name }) },
  { weight: 1, arbitrary: fc.record({ who, enters: fc.constant('x') }) },
  { weight: 3, arbitrary: fc.record({ who, mergedInto: who }) },
  { weight: 1, arbitrary: fc.constant({ pause: true as const }) },
);
const moves = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), action), { minLength: 8, maxLength: 30 });
const plays = fc.tuple(fc.integer({ min: 0, max: 50 }), moves).map(([salt, all]) =>
  happeningsOf(all as [number, Record<string, unknown>][]).map((happening) => ({
    ...happening,
    ...('who' in happening && { who: `${salt}${happening.who}` }),
    ...('mergedInto' in happening && { mergedInto: `${salt}${happening.mergedInto}` }),
  })),
);

/** Happenings at growing times; pauses toggle; merges only of two who are still two. */
function happeningsOf(play: [number, Record<string, unknown>][]): Happening[] {
  let hours = 1;
  let paused = false;
  const gone = new Set<string>();
  const happenings: Happening[] = [];
  for (const [passed, what] of play) {
    hours += passed;
    const at = `PT${hours}H`;
    if ('pause' in what) {
      happenings.push({ at, move: paused ? 'resume' : 'pause' });
      paused = !paused;
    } else if ('mergedInto' in what) {
      const { who: from, mergedInto: into } = what as { who: string; mergedInto: string };
      if (from === into || gone.has(from) || gone.has(into)) continue;
      gone.add(from);
      happenings.push({ at, who: from, mergedInto: into });
    } else happenings.push({ at, ...what } as Happening);
  }
  if (paused) happenings.push({ at: `PT${hours}H`, move: 'resume' });
  return [...happenings, { at: `PT${hours + 9000}H`, wait: true }];
}

describe('whatever happens, in whatever order', { timeout: 60_000 }, () => {
  it.each(['{ rule: never }', '{ rule: always }', '{ rule: after, days: 3 }'])(
    'no step is asked for twice: %s',
    (reentry) => {
      fc.assert(
        fc.property(plays, (play) => {
          const world = new World().add(JOURNEY(reentry));
          world.play(play);
          const keys = world.sends.map(({ request }) => request.idempotencyKey);
          expect(new Set(keys).size).toBe(keys.length);
          const steps = world.sends.map(({ request }) => `${request.enrolmentId} ${request.nodeId}`);
          expect(new Set(steps).size).toBe(steps.length);
          expect(world.harness.deadLetters).toEqual([]);
        }),
        { numRuns: 60 },
      );
    },
  );

  it('every enrolment ends exactly once, converts at most once, and leaves no timer behind', () => {
    fc.assert(
      fc.property(plays, (play) => {
        const world = new World().add(JOURNEY('{ rule: always }'));
        world.play(play);
        const count = (action: StepAction) => {
          const ids = world.steps.filter(({ step }) => step.action === action).map(({ step }) => step.enrolmentId);
          expect(new Set(ids).size).toBe(ids.length);
          return new Set(ids);
        };
        expect(count(StepAction.STEP_ACTION_EXITED)).toEqual(count(StepAction.STEP_ACTION_ENROLLED));
        count(StepAction.STEP_ACTION_CONVERTED);
        expect([...world.harness.timers]).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('who never enters twice is, as one customer, never sent a step twice after a merge', () => {
    fc.assert(
      fc.property(plays, (play) => {
        const world = new World().add(JOURNEY('{ rule: never }'));
        const persons = new Map<string, Set<string>>();
        for (const happening of play) {
          const before = world.sends.length;
          world.happen(happening);
          for (const { customerId, request } of world.sends.slice(before)) {
            const sent = persons.get(customerId) ?? new Set();
            expect(sent.has(request.nodeId)).toBe(false);
            persons.set(customerId, sent.add(request.nodeId));
          }
          if (!('mergedInto' in happening)) continue;
          const { who: from = '', mergedInto: into = '' } = happening;
          persons.set(into, new Set([...(persons.get(into) ?? []), ...(persons.get(from) ?? [])]));
        }
      }),
      { numRuns: 600 },
    );
  });
});
