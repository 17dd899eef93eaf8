import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { armOf, mergeArms } from './assignment.ts';
import { emptyState } from './state.ts';

const DRAWS = 20_000;
const customers = Array.from({ length: DRAWS }, (_, i) => `01HZ${i.toString(36)}`);

describe('arms', { timeout: 30_000 }, () => {
  it('follow the weights, whatever the experiment is called', () => {
    const weights = fc
      .array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 6 })
      .filter((w) => w.some((x) => x > 0));
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), weights, (experiment, given) => {
        const variants = given.map((weight, i) => ({ id: `v${i}`, weight }));
        const sum = given.reduce((a, b) => a + b);
        const counts = new Map<string, number>();
        for (const id of customers) {
          const arm = armOf(emptyState(), experiment, variants, id, 0);
          counts.set(arm, (counts.get(arm) ?? 0) + 1);
        }
        for (const { id, weight } of variants) {
          const p = weight / sum;
          // Five standard deviations: one in two million draws of a fair hash would fail.
          const tolerance = 5 * Math.sqrt((p * (1 - p)) / DRAWS);
          expect(Math.abs((counts.get(id) ?? 0) / DRAWS - p)).toBeLessThanOrEqual(tolerance);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('of two experiments are independent', () => {
    const halves = [
      { id: 'a', weight: 1 },
      { id: 'b', weight: 1 },
    ];
    const both = customers.filter((id) =>
      ['one', 'two'].every((experiment) => armOf(emptyState(), experiment, halves, id, 0) === 'a'),
    );
    expect(Math.abs(both.length / DRAWS - 0.25)).toBeLessThan(0.0154);
  });

  it('stay when weights change, and are drawn again only when they are gone', () => {
    const state = emptyState();
    const arm = armOf(
      state,
      'e',
      [
        { id: 'a', weight: 1 },
        { id: 'b', weight: 1 },
      ],
      'c',
      1,
    );
    const other = arm === 'a' ? 'b' : 'a';
    expect(
      armOf(
        state,
        'e',
        [
          { id: arm, weight: 0 },
          { id: other, weight: 1 },
        ],
        'c',
        2,
      ),
    ).toBe(arm);
    expect(armOf(state, 'e', [{ id: other, weight: 1 }], 'c', 3)).toBe(other);
    expect(state.assignments).toEqual([{ experimentId: 'e', variant: other, assignedMs: 1 }]);
  });

  it('of two customers who are one: the earlier, unless an enrolment decides', () => {
    const own = [
      { experimentId: 'e', variant: 'a', assignedMs: 5 },
      { experimentId: 'f', variant: 'a', assignedMs: 5 },
    ];
    const other = [
      { experimentId: 'e', variant: 'b', assignedMs: 4 },
      { experimentId: 'g', variant: 'b', assignedMs: 9 },
    ];
    const arms = (preferred: () => 'own' | 'other' | undefined) =>
      Object.fromEntries(mergeArms(own, other, preferred).map(({ experimentId, variant }) => [experimentId, variant]));
    expect(arms(() => undefined)).toEqual({ e: 'b', f: 'a', g: 'b' });
    expect(arms(() => 'own')).toEqual({ e: 'a', f: 'a', g: 'b' });
  });
});
