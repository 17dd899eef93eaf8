import { Cron } from 'croner';
import { type ConfigWith, readConfig } from '#lib/config/config.ts';
import { Settings, withoutCredentials } from '#lib/config/settings.ts';
import { type Deployment, EMBEDDED, parseDeployment } from './core/deployment.ts';

/** Where ClickHouse is and what of history it keeps. */
export interface StoreConfig {
  /** CLICKHOUSE_URL: empty for the embedded engine, http://host:8123 for a server, with ?cluster=NAME for a cluster. */
  readonly deployment: Deployment;
  /** DATA_DIR: folder of the embedded engine; empty with a server. */
  readonly dataDir: string;
  /** CLICKHOUSE_USER and CLICKHOUSE_PASSWORD_FILE: who analytics is on a server; may write in database recur. */
  readonly clickhouseUser: string | undefined;
  readonly clickhousePassword: string | undefined;
  /** RETENTION_MONTHS: behaviour older than so many months is deleted; 0 keeps everything. Orders and merges always stay. */
  readonly retentionMonths: number;
  /** INDUSTRY_LTV: net sales per customer in the trade, whole units of the currency; 0 when nobody knows. */
  readonly industryLtv: number;
}

export interface PredictionSettings {
  /** PREDICTIONS_AT: cron expression in the shop's time zone, 03:15 when absent; undefined when `off`, and on the event clock. */
  readonly predictionsAt: string | undefined;
  /** PREDICTION_HORIZON_DAYS: how far ahead predictions look, 7 to 730; 90 when absent. */
  readonly predictionHorizonDays: number;
}

export type AnalyticsConfig = ConfigWith<'clickhouseHttpPort'> & StoreConfig & PredictionSettings;

/** CLICKHOUSE_HTTP_PORT: the SQL endpoint analytics serves itself, on HTTP_HOST. */
export function config(env: NodeJS.ProcessEnv): AnalyticsConfig {
  const settings = new Settings(env);
  const base = readConfig(settings, ['clickhouseHttpPort']);
  const store = readStore(settings);
  // On the event clock old events come all the time, and would be gone before anybody saw them.
  if (base.clock === 'event' && store.retentionMonths > 0)
    settings.problem('RETENTION_MONTHS', 'must be 0 with CLOCK=event: retention is counted from today');
  const predictions = readPredictions(settings, base.clock);
  settings.finish();
  return { ...base, ...store, ...predictions };
}

/** Of the migration tool, which needs nothing else. */
export function storeConfig(env: NodeJS.ProcessEnv): StoreConfig & { readonly shopTimeZone: string } {
  const settings = new Settings(env);
  const store = readStore(settings);
  const shopTimeZone = settings.text('SHOP_TIME_ZONE', { otherwise: 'UTC' });
  settings.finish();
  return { ...store, shopTimeZone };
}

function readStore(settings: Settings): StoreConfig {
  let deployment = EMBEDDED;
  try {
    deployment = parseDeployment(settings.text('CLICKHOUSE_URL', { otherwise: '' }));
  } catch (error) {
    settings.problem('CLICKHOUSE_URL', (error as Error).message, withoutCredentials);
  }
  const dataDir = settings.text('DATA_DIR', { otherwise: '' });
  if (deployment.kind === 'embedded' && dataDir === '') settings.missing('DATA_DIR');
  return {
    deployment,
    dataDir,
    clickhouseUser: settings.text('CLICKHOUSE_USER', { otherwise: undefined }),
    clickhousePassword: settings.file('CLICKHOUSE_PASSWORD_FILE', (text) => text.trim(), { otherwise: undefined }),
    retentionMonths: settings.integer('RETENTION_MONTHS', { min: 0, max: 1_200, otherwise: 0 }),
    industryLtv: settings.integer('INDUSTRY_LTV', { min: 0, max: 1_000_000_000, otherwise: 0 }),
  };
}

function readPredictions(settings: Settings, clock: 'live' | 'event'): PredictionSettings {
  const at = settings.text('PREDICTIONS_AT', { otherwise: '15 3 * * *' });
  if (at !== 'off' && !isCron(at))
    settings.problem('PREDICTIONS_AT', 'must be a cron expression, such as "15 3 * * *", or off');
  const predictionHorizonDays = settings.integer('PREDICTION_HORIZON_DAYS', { min: 7, max: 730, otherwise: 90 });
  return { predictionsAt: at === 'off' || clock === 'event' ? undefined : at, predictionHorizonDays };
}

function isCron(expression: string): boolean {
  try {
    new Cron(expression, { paused: true }).stop();
    return true;
  } catch {
    return false;
  }
}
