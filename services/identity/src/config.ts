import { readConfig } from '#lib/config/config.ts';
import { Settings } from '#lib/config/settings.ts';

export function config(env: NodeJS.ProcessEnv) {
  const settings = new Settings(env);
  const base = readConfig(settings, ['identifierKeys']);
  const country = settings.text('SHOP_COUNTRY', { otherwise: 'CN' });
  settings.finish();
  return { ...base, country };
}
export type IdentityConfig = ReturnType<typeof config>;
