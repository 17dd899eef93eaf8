import { type ConfigWith, loadConfig } from '#lib/config/config.ts';

export type AnalyticsConfig = ConfigWith<'dataDir' | 'clickhouseHttpPort'>;

/** DATA_DIR: folder of the embedded ClickHouse. CLICKHOUSE_HTTP_PORT: its HTTP interface, on HTTP_HOST. */
export const config = (env: NodeJS.ProcessEnv): AnalyticsConfig => loadConfig(env, ['dataDir', 'clickhouseHttpPort']);
