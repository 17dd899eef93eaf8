import { expect, test } from 'vitest';
import { Profile } from '#gen/recur/profile/v1/profile.ts';
import { ReadMaskError, readMask } from './read-mask.ts';

test('no mask: what this service knows, nothing that others must be asked for', () => {
  for (const paths of [undefined, []]) {
    const mask = readMask(paths, true);
    expect(mask.own.size).toBe(13);
    expect(mask.peers.size).toBe(0);
  }
});

test('a mask names fields of both kinds', () => {
  const mask = readMask(['customer_id', 'traits', 'segments', 'segments'], true);
  expect([...mask.own]).toEqual(['traits']);
  expect([...mask.peers]).toEqual(['segments']);
});

test('other paths are refused by name, and those of other services where they cannot be had', () => {
  expect(() => readMask(['traits.city'], true)).toThrow(ReadMaskError);
  expect(() => readMask(['__proto__'], true)).toThrow(/"__proto__" cannot be asked for/);
  expect(() => readMask(['segments'], false)).toThrow(/"segments" cannot be asked for/);
});

test('every field of the message can be asked for, but those that tell of the answer', () => {
  const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const fields = Object.keys(Profile.fromPartial({}))
    .map(snake)
    .filter((f) => f !== 'missing');
  const mask = readMask(fields, true);
  expect(['customer_id', ...mask.own, ...mask.peers].sort()).toEqual(fields.sort());
});
