import type { IdentifierValue } from '#gen/recur/profile/v1/profile_service.ts';
import { type FieldViolation, invalidArgument } from '#lib/rpc/errors.ts';
import { type ReadMask, ReadMaskError, readMask } from '../core/read-mask.ts';

const MAX_ID = 128;
const MAX_BATCH = 1_000;
const MAX_PAGE = 500;
const DEFAULT_PAGE = 50;
const MAX_NAMES = 20;
const MAX_NAME = 200;

function refuse(field: string, description: string): never {
  throw invalidArgument([{ field, description }]);
}

export function customerIdOf(field: string, id: string): string {
  if (id === '') refuse(field, 'is required');
  if (id.length > MAX_ID) refuse(field, `has ${id.length} characters, at most ${MAX_ID} are allowed`);
  return id;
}

export function customerIdsOf(ids: readonly string[]): readonly string[] {
  if (ids.length === 0) refuse('customer_ids', 'is required');
  if (ids.length > MAX_BATCH) refuse('customer_ids', `has ${ids.length} ids, at most ${MAX_BATCH} are allowed`);
  const violations: FieldViolation[] = [];
  ids.forEach((id, i) => {
    if (id === '' || id.length > MAX_ID) {
      violations.push({ field: `customer_ids[${i}]`, description: `must have 1 to ${MAX_ID} characters` });
    }
  });
  if (violations.length > 0) throw invalidArgument(violations.slice(0, 20));
  return ids;
}

/** The value is personal: errors never repeat it. */
export function identifierOf({ type, value }: IdentifierValue): { type: string; value: string } {
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(type)) refuse('identifier.type', 'must be 1 to 64 of a-z, 0-9 and "_"');
  if (value.length === 0 || value.length > 512) refuse('identifier.value', 'must have 1 to 512 characters');
  return { type, value };
}

export function maskOf(paths: readonly string[] | undefined, options: { peers: boolean }): ReadMask {
  try {
    return readMask(paths, options.peers);
  } catch (error) {
    if (error instanceof ReadMaskError) refuse('read_mask', error.message);
    throw error;
  }
}

export function pageSizeOf(size: number): number {
  if (size < 0 || size > MAX_PAGE)
    refuse('page_size', `is ${size}, must be 1 to ${MAX_PAGE}, or 0 for ${DEFAULT_PAGE}`);
  return size === 0 ? DEFAULT_PAGE : size;
}

export function namesOf(names: string[]): string[] {
  if (names.length > MAX_NAMES) refuse('names', `has ${names.length} names, at most ${MAX_NAMES} are allowed`);
  names.forEach((name, i) => {
    if (name === '' || name.length > MAX_NAME) refuse(`names[${i}]`, `must have 1 to ${MAX_NAME} characters`);
  });
  return names;
}

export function beforeOf(beforeMs: number): number {
  if (beforeMs < 0) refuse('before_ms', `is ${beforeMs}, must not be negative`);
  return beforeMs;
}
