import type { StoreConfig } from '../config.ts';
import type { Engine } from './engine.ts';
import { ServerEngine } from './server-engine.ts';

/** The engine the configuration asks for. The embedded one is large: it is loaded where it is wanted. */
export async function openEngine(config: StoreConfig): Promise<Engine> {
  const { deployment, dataDir, clickhouseUser: user, clickhousePassword: password } = config;
  if (deployment.kind === 'embedded') {
    const { ChdbEngine } = await import('./chdb-engine.ts');
    return ChdbEngine.open(dataDir);
  }
  return new ServerEngine({ url: deployment.url, user, password, replicated: deployment.kind === 'cluster' });
}
