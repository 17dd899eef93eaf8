import { type FieldViolation, invalidArgument } from '#lib/rpc/errors.ts';
import { objectOf } from '../core/contact.ts';

const MAX_BYTES = 32 * 1024;

/** A request field that holds a JSON object; empty bytes are an empty object. @throws INVALID_ARGUMENT */
export function objectField(field: string, bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) return {};
  if (bytes.length > MAX_BYTES) throw refusal(field, `must have at most ${MAX_BYTES} bytes, has ${bytes.length}`);
  const object = objectOf(bytes);
  if (!object) throw refusal(field, 'must be a JSON object');
  return object;
}

/** Page size as asked for, or the default. @throws INVALID_ARGUMENT */
export function pageSizeField(asked: number, otherwise: number, max: number): number {
  if (asked > max) throw refusal('page_size', `must be 1–${max}, is ${asked}`);
  return asked || otherwise;
}

export function refusal(field: string, description: string): Error {
  const violation: FieldViolation = { field, description };
  return invalidArgument([violation]);
}

/** @throws INVALID_ARGUMENT */
export function checkCustomerId(field: string, customerId: string): void {
  if (customerId === '' || customerId.length > 128) throw refusal(field, 'must have 1–128 characters');
}
