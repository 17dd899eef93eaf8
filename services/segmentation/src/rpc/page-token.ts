import { invalidArgument } from '#lib/rpc/errors.ts';

/** A place in a walk over all partitions. */
export interface Place {
  readonly partition: number;
  readonly cursor: string;
}

export function encodePageToken(partition: number, cursor: string): string {
  return Buffer.from(`${partition}:${cursor}`).toString('base64url');
}

/** The start for an empty token; INVALID_ARGUMENT for one that was not made here. */
export function decodePageToken(token: string, partitions: number): Place {
  if (token === '') return { partition: 0, cursor: '0' };
  const match = /^(\d{1,4}):(.{1,200})$/s.exec(Buffer.from(token.slice(0, 400), 'base64url').toString());
  const partition = Number(match?.[1]);
  if (match === null || partition >= partitions) {
    throw invalidArgument([{ field: 'page_token', description: 'must be next_page_token of the page before' }]);
  }
  return { partition, cursor: match[2] as string };
}
