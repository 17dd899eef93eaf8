import { expect, test } from 'vitest';
import { Chaos } from './chaos.ts';

test('a whole number is that many, a share is a chance, and what is left out is calm', () => {
  const chaos = new Chaos();
  chaos.set({ loseAnswer: 2 });
  expect([1, 2, 3].map(() => chaos.losesAnswer())).toEqual([true, true, false]);
  chaos.set({ refuse: 0.5 });
  const refused = Array.from({ length: 1000 }, () => chaos.refuses()).filter(Boolean).length;
  expect(refused).toBeGreaterThan(350);
  expect(refused).toBeLessThan(650);
  expect(chaos.losesAnswer()).toBe(false);
});

test.each([[{ lose: 1 }], [{ refuse: -1 }], [{ refuse: 1.5 }], [{ refuse: '1' }], [{ delayMs: 0.5 }], [null], [7]])(
  'refuses %j',
  (settings) => {
    expect(() => new Chaos().set(settings)).toThrow();
  },
);
