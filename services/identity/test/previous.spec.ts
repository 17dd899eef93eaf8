import { join } from 'node:path';
import { expect, test } from 'vitest';
import { previousVersion } from '#lib/stream/previous-version.ts';
import { decodeNode } from '../src/store/graph-store.ts';

test('customers of the version before mean what they meant', () => {
  const nodes = previousVersion(join(import.meta.dirname, 'previous'), (where, bytes) =>
    decodeNode(where.split(':').at(-1) ?? '', bytes),
  );
  for (const { where, reads, means } of nodes) expect(reads, where).toMatchObject(means);
  expect(nodes.length).toBeGreaterThanOrEqual(2);
});
