import { invalidArgument } from '#lib/rpc/errors.ts';
import { checkId } from './ids.ts';

export interface Page<V> {
  readonly items: V[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

const DEFAULT_SIZE = 50;
const MAX_SIZE = 1000;
/** Values read at once. */
const CHUNK = 50;

/** A page of sorted ids, without those `read` knows nothing of. The token is the last id seen, so pages survive changes. */
export async function readPage<V>(
  ids: readonly string[],
  pageSize: number,
  pageToken: string,
  read: (id: string) => Promise<V | undefined>,
): Promise<Page<V>> {
  if (!Number.isInteger(pageSize) || pageSize < 0) {
    throw invalidArgument([{ field: 'page_size', description: 'must be a whole number, 0 or more' }]);
  }
  const size = pageSize === 0 ? DEFAULT_SIZE : Math.min(pageSize, MAX_SIZE);
  const after = decodeToken(pageToken);
  const rest = ids.filter((id) => id > after);
  const found: { id: string; value: V }[] = [];
  // One more than asked for tells whether there is another page.
  for (let start = 0; start < rest.length && found.length <= size; start += CHUNK) {
    const chunk = rest.slice(start, start + CHUNK);
    const values = await Promise.all(chunk.map(read));
    for (const [index, value] of values.entries()) {
      if (value !== undefined) found.push({ id: chunk[index] as string, value });
    }
  }
  const items = found.slice(0, size);
  return {
    items: items.map(({ value }) => value),
    nextPageToken: found.length > size ? Buffer.from(items.at(-1)?.id ?? '').toString('base64url') : '',
  };
}

function decodeToken(pageToken: string): string {
  if (pageToken === '') return '';
  const id = Buffer.from(pageToken.slice(0, 200), 'base64url').toString();
  if (checkId(id).length > 0) {
    throw invalidArgument([{ field: 'page_token', description: 'must be next_page_token of the page before' }]);
  }
  return id;
}
