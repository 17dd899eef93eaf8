import type { Accepted } from './wire.ts';

/** What an app tells of a message by way of the shop's server, in Recur's own form. */
export function appReceipt({ reference, atMs }: Accepted, bounced: boolean): unknown {
  const what = bounced ? { type: 'bounced', bounce_type: 'soft' } : { type: 'delivered' };
  return { receipts: [{ reference, ...what, time: new Date(atMs).toISOString() }] };
}
