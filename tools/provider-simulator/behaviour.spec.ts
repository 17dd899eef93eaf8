import { expect, it } from 'vitest';
import { Behaviour } from './behaviour.ts';

it('draws the same fates from the same seed, in the shares it was told', () => {
  const draw = () => {
    const behaviour = new Behaviour();
    behaviour.set({ seed: 7, lose: 0.1, throttle: 0.2 });
    return Array.from({ length: 5000 }, () => behaviour.fate());
  };
  const fates = draw();
  expect(draw()).toEqual(fates);
  const share = (fate: string) => fates.filter((f) => f === fate).length / fates.length;
  expect(share('lose')).toBeCloseTo(0.1, 1);
  expect(share('throttle')).toBeCloseTo(0.2, 1);
  expect(share('accept')).toBeCloseTo(0.7, 1);
  expect(share('cut')).toBe(0);
});

it('refuses what is not a setting', () => {
  expect(() => new Behaviour().set({ looze: 1 } as never)).toThrow('looze is not a setting');
  expect(() => new Behaviour().set({ lose: '1' } as never)).toThrow('lose must be like 0');
});
