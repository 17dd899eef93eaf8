import { hash } from 'node:crypto';

/** 128 bits of SHA-256 over the parts, in hex. Parts are set apart, so ("a", "bc") and ("ab", "c") differ. */
export function stableId(...parts: readonly (string | number)[]): string {
  return hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32);
}

/** A number in [0, 1) that depends on salt and customer only, evenly spread. */
export function share(salt: string, customerId: string): number {
  return Number.parseInt(hash('sha256', JSON.stringify([salt, customerId]), 'hex').slice(0, 12), 16) / 2 ** 48;
}
