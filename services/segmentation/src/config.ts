import { loadConfig, type ServiceConfig } from '#lib/config/config.ts';

/** Nothing beyond what every service reads. */
export const config = (env: NodeJS.ProcessEnv): ServiceConfig => loadConfig(env);
