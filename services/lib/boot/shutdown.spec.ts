import { pino } from 'pino';
import { expect, test } from 'vitest';
import { runSteps } from './shutdown.ts';

const logger = pino({ level: 'silent' });
const never = () => new Promise<never>(() => undefined);

test('steps run one after the other', async () => {
  const done: string[] = [];
  const step = (name: string, ms: number) => ({
    name,
    run: async () => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      done.push(name);
    },
  });
  expect(await runSteps([step('a', 30), step('b', 1)], 1000, logger)).toBe(true);
  expect(done).toEqual(['a', 'b']);
});

test('one that fails or hangs leaves the others their turn, within the limit', async () => {
  const done: string[] = [];
  const steps = [
    { name: 'throws', run: () => Promise.reject(new Error('no')) },
    {
      name: 'throws at once',
      run: (): Promise<unknown> => {
        throw new Error('no');
      },
    },
    { name: 'hangs', run: never },
    { name: 'hangs too', run: never },
    { name: 'last', run: async () => done.push('last') },
  ];
  const start = performance.now();
  expect(await runSteps(steps, 300, logger)).toBe(false);
  expect(done).toEqual(['last']);
  expect(performance.now() - start).toBeLessThan(400);
});
