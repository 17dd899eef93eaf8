import type { FieldViolation } from '#lib/rpc/errors.ts';

const ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const REQUEST_ID = /^[\x21-\x7e]{1,64}$/;

export function checkId(id: string): FieldViolation[] {
  if (ID.test(id)) return [];
  return [{ field: 'id', description: 'must be 1 to 63 of a-z, 0-9, "_" and "-", beginning with a letter or digit' }];
}

export function checkRequestId(requestId: string): FieldViolation[] {
  if (requestId === '' || REQUEST_ID.test(requestId)) return [];
  return [{ field: 'request_id', description: 'must be at most 64 printable characters without spaces' }];
}

/** Names of buckets and kinds. */
export function bucketOf(kind: string): string {
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(kind)) throw new Error(`"${kind}" is no good name for a kind of definitions.`);
  return `definitions_${kind}`;
}
