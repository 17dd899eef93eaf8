import type { StoreConfig } from '../config.ts';
import { ChdbEngine } from './chdb-engine.ts';
import type { Engine } from './engine.ts';
import { ServerEngine } from './server-engine.ts';

/** The engine the configuration asks for. */
export async function openEngine(config: StoreConfig): Promise<Engine> {
  const { deployment, dataDir, clickhouseUser: user, clickhousePassword: password } = config;
  if (deployment.kind === 'embedded') return ChdbEngine.open(dataDir);
  return new ServerEngine({ url: deployment.url, user, password, replicated: deployment.kind === 'cluster' });
}
