import { join } from 'node:path';
import { expect, test } from 'vitest';
import { previousVersion } from '#lib/stream/previous-version.ts';
import { decodeEntry, encodeEntry } from '#lib/stream/states.ts';
import { stateCodec } from '../src/stage.ts';

function read(where: string, bytes: Buffer): object {
  const entry = decodeEntry(bytes, stateCodec);
  // Nothing of it is dropped by a version that writes it again.
  expect(Buffer.from(encodeEntry(entry, stateCodec, 1)).equals(bytes), where).toBe(true);
  const { state, mergedInto } = entry;
  return { mergedInto, ...state, messages: state?.messages };
}

test('states of the version before mean what they meant', () => {
  const states = previousVersion(join(import.meta.dirname, 'previous'), read);
  for (const { where, reads, means } of states) expect(reads, where).toMatchObject(means);
  expect(states.length).toBeGreaterThanOrEqual(2);
});
