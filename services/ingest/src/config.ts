import { type ConfigWith, readConfig } from '#lib/config/config.ts';
import { Settings } from '#lib/config/settings.ts';
import { isCountry } from '#lib/identifiers/contact.ts';
import type { Rules } from './core/normalise.ts';

export interface IngestConfig extends ConfigWith<'identifierKeys' | 'sealingKeys' | 'writeKeys'> {
  /** SHOP_COUNTRY (CN), SHOP_CURRENCY (CNY), PERSONAL_TRAITS (names, separated by commas). */
  readonly rules: Rules;
  /** INGEST_MAX_PENDING_BYTES: read from senders and not stored yet, beyond which requests are refused (429). */
  readonly maxPendingBytes: number;
}

export function config(env: NodeJS.ProcessEnv): IngestConfig {
  const settings = new Settings(env);
  const base = readConfig(settings, ['identifierKeys', 'sealingKeys', 'writeKeys']);
  const country = settings.text('SHOP_COUNTRY', { otherwise: 'CN' });
  if (!isCountry(country)) settings.problem('SHOP_COUNTRY', 'must be an ISO 3166 code of two letters, such as CN');
  const currency = settings.text('SHOP_CURRENCY', {
    otherwise: 'CNY',
    pattern: /^[A-Z]{3}$/,
    rule: 'must be an ISO 4217 code of three letters, such as CNY',
  });
  const personal = settings.text('PERSONAL_TRAITS', { otherwise: '' });
  const maxPendingBytes = settings.integer('INGEST_MAX_PENDING_BYTES', {
    min: 1024 * 1024,
    max: 1024 * 1024 * 1024,
    otherwise: 32 * 1024 * 1024,
  });
  settings.finish();
  const personalTraits = personal.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]));
  return { ...base, rules: { clock: base.clock, currency, country, personalTraits }, maxPendingBytes };
}
