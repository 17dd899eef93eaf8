import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { readPage } from './page.ts';

test('pages together are the whole, each id once, whatever is missing and however large they are', async () => {
  const id = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,5}$/);
  const property = fc.asyncProperty(
    fc.uniqueArray(id, { maxLength: 120 }),
    fc.integer({ min: 1, max: 60 }),
    async (all, size) => {
      const ids = all.toSorted();
      const read = async (one: string) => (one.includes('a') ? undefined : one);
      const seen: string[] = [];
      let token = '';
      do {
        const page = await readPage(ids, size, token, read);
        expect(page.items.length).toBeLessThanOrEqual(size);
        seen.push(...page.items);
        token = page.nextPageToken;
      } while (token !== '');
      expect(seen).toEqual(ids.filter((one) => !one.includes('a')));
    },
  );
  await fc.assert(property);
});

test('an id that went away between two pages does not matter', async () => {
  const read = async (one: string) => one;
  const { nextPageToken } = await readPage(['a', 'b', 'c'], 2, '', read);
  expect((await readPage(['a', 'c', 'd'], 2, nextPageToken, read)).items).toEqual(['c', 'd']);
});
