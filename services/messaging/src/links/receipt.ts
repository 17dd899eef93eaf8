import { createHash } from 'node:crypto';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import type { Reference } from './tokens.ts';

export const KINDS = ['delivered', 'bounced', 'opened', 'clicked', 'replied', 'complained', 'unsubscribed'] as const;
export type ReceiptKind = (typeof KINDS)[number];

/** What came back of one message. */
export interface Receipt extends Reference {
  readonly kind: ReceiptKind;
  readonly timeMs: number;
  readonly bounceType?: 'hard' | 'soft';
  /** The provider's code: never text, which may hold an address. */
  readonly reason?: string;
  /** Of a click. */
  readonly url?: string;
}

/** Names of the Segment e-mail specification; the other channels have none there. */
const EMAIL: Readonly<Partial<Record<ReceiptKind, string>>> = {
  delivered: 'Email Delivered',
  bounced: 'Email Bounced',
  opened: 'Email Opened',
  clicked: 'Email Link Clicked',
  complained: 'Email Marked as Spam',
};
const ANY: Readonly<Record<ReceiptKind, string>> = {
  delivered: 'Message Delivered',
  bounced: 'Message Bounced',
  opened: 'Message Opened',
  clicked: 'Message Clicked',
  replied: 'Message Replied',
  complained: 'Message Complained',
  unsubscribed: 'Unsubscribed',
};

export function eventNameOf(channel: string, kind: ReceiptKind): string {
  return (channel === 'email' ? EMAIL[kind] : undefined) ?? ANY[kind];
}

/**
 * The event a receipt becomes. Its message id is made of what it says, so a receipt told twice is one event (as long as
 * message ids are remembered).
 */
export function eventOf(receipt: Receipt, receivedAtMs: number): Event {
  const { customerId, key, channel, kind, timeMs, bounceType, reason } = receipt;
  const url = receipt.url === undefined ? undefined : withoutQuery(receipt.url);
  const properties = {
    ...{ channel, idempotency_key: key },
    ...(bounceType && { bounce_type: bounceType }),
    ...(reason && { reason: reason.slice(0, 64) }),
    ...(url && { url }),
  };
  return Event.fromPartial({
    messageId: `receipt/${digest(`${key} ${receipt.url ?? ''}`)}/${kind}`,
    type: EventType.EVENT_TYPE_TRACK,
    name: eventNameOf(channel, kind),
    ...{ timeMs, receivedAtMs, source: 'messaging' },
    identifiers: [{ type: '$customer', hash: Buffer.from(customerId) }],
    propertiesJson: Buffer.from(JSON.stringify(properties)),
  });
}

/** A person's word about a message nobody knew the fate of. Derived: the customer did nothing. */
export function settlementOf({ customerId, key }: Reference, sent: boolean, author: string, timeMs: number): Event {
  return Event.fromPartial({
    messageId: `settle/${digest(key)}`,
    type: EventType.EVENT_TYPE_DERIVED,
    name: 'Message Settled',
    ...{ timeMs, receivedAtMs: timeMs, source: 'messaging' },
    identifiers: [{ type: '$customer', hash: Buffer.from(customerId) }],
    propertiesJson: Buffer.from(JSON.stringify({ idempotency_key: key, sent, author })),
  });
}

/** Shops like to put addresses and names behind the question mark. */
function withoutQuery(url: string): string {
  if (!URL.canParse(url)) return '';
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`.slice(0, 500);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
