import type { MessagingConfig } from '../config.ts';
import type { Channel } from './channel.ts';
import type { Composer } from './email/compose.ts';
import { EmailChannel } from './email/email.ts';
import { SentLookup } from './email/lookup.ts';
import type { SmtpTransport } from './email/smtp.ts';

/** Every channel this process is configured for, by name. */
export type Channels = ReadonlyMap<string, Channel>;

export function openChannels(c: MessagingConfig, composer: Composer, transport: SmtpTransport): Channels {
  const lookup = c.smtpLookupUrl === undefined ? undefined : new SentLookup(c.smtpLookupUrl);
  const email: Channel = new EmailChannel({ composer, transport, connections: c.smtpConnections, lookup }) as Channel;
  return new Map([email].map((channel) => [channel.name, channel]));
}
