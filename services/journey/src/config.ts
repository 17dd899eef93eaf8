import { loadConfig, type ServiceConfig } from '#lib/config/config.ts';

/** Nothing of its own. */
export const config = (env: NodeJS.ProcessEnv): ServiceConfig => loadConfig(env);
