import { type ConfigWith, readConfig } from '#lib/config/config.ts';
import { Settings } from '#lib/config/settings.ts';
import { parseSender } from './core/header.ts';

export interface MessagingConfig extends ConfigWith<'sealingKeys' | 'smtpUrl' | 'mailFrom'> {
  /** SMTP_CONNECTIONS: connections kept open to the provider, 1–64, 8 unless set. */
  readonly smtpConnections: number;
  /** MAIL_FROM, taken apart. */
  readonly sender: { readonly name: string; readonly address: string };
}

/** @throws ConfigError */
export function config(env: Readonly<Record<string, string | undefined>>): MessagingConfig {
  const settings = new Settings(env);
  const base = readConfig(settings, ['sealingKeys', 'smtpUrl', 'mailFrom']);
  const smtpConnections = settings.integer('SMTP_CONNECTIONS', { min: 1, max: 64, otherwise: 8 });
  const sender = senderOf(settings, base.mailFrom);
  settings.finish();
  return { ...base, smtpConnections, sender };
}

function senderOf(settings: Settings, mailFrom: string | undefined): MessagingConfig['sender'] {
  try {
    if (mailFrom !== undefined) return parseSender(mailFrom);
  } catch {
    settings.problem('MAIL_FROM', 'must be an address or "Name <address>"');
  }
  return { name: '', address: '' };
}
