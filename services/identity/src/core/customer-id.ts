import { hash } from 'node:crypto';

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * A ULID whose random part is a hash of the event that created the customer: older customers sort first, and the same log
 * gives the same ids.
 */
export function customerId(nowMs: number, source: string, messageId: string): string {
  let text = '';
  for (let i = 9, ms = nowMs; i >= 0; i--) {
    text = CROCKFORD[ms % 32] + text;
    ms = Math.floor(ms / 32);
  }
  const bytes = hash('sha256', `${source}\n${messageId}`, 'buffer');
  for (let i = 0; i < 16; i++) text += CROCKFORD[(bytes[i] as number) & 31];
  return text;
}
