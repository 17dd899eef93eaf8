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

/** RFC 2369, and RFC 8058 where there is a page of ours: mail programs unsubscribe by a POST to it. */
export function unsubscribeHeaders(
  url: string,
  senderAddress: string,
  messageId: string,
  oneClick?: string,
): Record<string, string> {
  const [local = '', domain = ''] = senderAddress.split('@');
  // What addresses may hold ("%", "?", "&") means something else in an address of a page.
  const mailto = `mailto:${encodeURIComponent(local)}@${domain}?subject=unsubscribe%20{message_id}`;
  const target = (url === '' ? mailto : url).replaceAll('{message_id}', encodeURIComponent(messageId));
  if (oneClick === undefined) return { 'List-Unsubscribe': `<${target}>` };
  return { 'List-Unsubscribe': `<${oneClick}>, <${target}>`, 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' };
}
