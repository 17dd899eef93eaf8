import { createHash } from 'node:crypto';
import type { Links } from '../../links/mark-up.ts';
import type { Reference, Tokens } from '../../links/tokens.ts';
import { ComposeError, type Send } from '../channel.ts';
import type { Writer } from '../writer.ts';

export interface PushParts {
  readonly writer: Writer;
  readonly tokens: Tokens;
  /** Addresses that lead back here; without them a tap tells nothing. */
  readonly links?: Links | undefined;
  readonly connections: number;
  readonly perSecond: number;
}

/** What a device shows, and what the app gets with it. */
export interface PushContent {
  readonly title: string;
  readonly body: string;
  /** The template's parameters; `url`: where a tap leads; `recur_reference`: what receipts name the message by. */
  readonly data: Readonly<Record<string, string>>;
  /** As it was set: a device token, or a subscription. */
  readonly address: unknown;
  /** The same for every attempt: devices show one message in place of another with the same. 32 characters, URL-safe. */
  readonly topic: string;
}

/** A push that could not be delivered for so long is not delivered any more. */
export const KEEP_S = 86_400;

/** @throws ComposeError */
export function writePush(channel: string, { writer, tokens, links }: PushParts, send: Send): PushContent {
  const { request, template, address, customer, journey } = writer.open(send);
  if (address === undefined || address === '') throw new ComposeError('bad_address');
  const about: Reference = { customerId: send.customerId, key: send.key, channel };
  const values = { id: send.key, purpose: request.purpose, locale: send.work.locale, unsubscribeUrl: '' };
  const written = writer.render(template, { ...values, customer, journey });
  const { url } = written.content;
  const link: Record<string, string> = url === '' ? {} : { url: links?.click(about, url) ?? url };
  const data = { ...written.parameters, ...link, recur_reference: tokens.make('receipt', about) };
  const topic = createHash('sha256').update(send.key).digest('base64url').slice(0, 32);
  return { title: written.subject, body: written.text, data, address, topic };
}

/** Providers take so much, in bytes, of what a device gets. @throws ComposeError */
export function checkSize(payload: string, limit: number): void {
  if (Buffer.byteLength(payload) > limit) throw new ComposeError(`too_large: more than ${limit} bytes`);
}
