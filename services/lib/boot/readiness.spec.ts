import { expect, test } from 'vitest';
import { Readiness } from './readiness.ts';

test('names what is not well', () => {
  const readiness = new Readiness();
  let well = false;
  readiness.add('stage', () => well);
  readiness.add('broken', () => {
    throw new Error('cannot tell');
  });
  expect(readiness.failing()).toEqual(['stage', 'broken']);
  well = true;
  expect(readiness.failing()).toEqual(['broken']);
  readiness.drain();
  expect(readiness.failing()).toEqual(['draining', 'broken']);
  expect(() => readiness.add('stage', () => true)).toThrow('already');
});
