import { afterEach, expect, test } from 'vitest';
import { EventLoopWatch } from './event-loop.ts';

let watch: EventLoopWatch;
afterEach(() => watch.stop());

test('sees a loop that is held up, while it is and afterwards', async () => {
  watch = new EventLoopWatch(10, 20);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const end = performance.now() + 200;
  while (performance.now() < end);
  expect(watch.worstMs).toBeGreaterThan(150);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(watch.worstMs).toBeGreaterThan(150);
});

test('forgets in time', async () => {
  watch = new EventLoopWatch(5, 3);
  const end = performance.now() + 100;
  while (performance.now() < end);
  await expect.poll(() => watch.worstMs, { timeout: 5000 }).toBeLessThan(60);
});
