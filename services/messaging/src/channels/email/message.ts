import { createHash } from 'node:crypto';

/** One mail, ready to be handed to a provider. */
export interface Mail {
  /** Without angle brackets. */
  readonly messageId: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The same for every attempt at the same request, so a provider or mailbox can be asked for it, and one that sorts out
 * repeats by it shows the message once.
 */
export function messageIdOf(idempotencyKey: string, senderAddress: string): string {
  const digest = createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 32);
  return `${digest}@${senderAddress.slice(senderAddress.lastIndexOf('@') + 1)}`;
}

/** RFC 2369; the one-click form of RFC 8058 needs a public address of its own. */
export function unsubscribeHeader(url: string, senderAddress: string, messageId: string): Record<string, string> {
  const target = url === '' ? `mailto:${senderAddress}?subject=unsubscribe%20{message_id}` : url;
  return { 'List-Unsubscribe': `<${target.replaceAll('{message_id}', encodeURIComponent(messageId))}>` };
}
