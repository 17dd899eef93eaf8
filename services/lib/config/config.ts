import { ApiTokens } from '#lib/rpc/tokens.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Settings } from './settings.ts';
import { readTracing, type TracingConfig } from './tracing.ts';
import { WriteKeys } from './write-keys.ts';

/** Limits of one stream; -1 means none. */
export interface StreamLimits {
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** What every service reads from the environment. Key material sits in objects that never print it. */
export interface ServiceConfig {
  /** SERVICE_NAME */
  readonly serviceName: string;
  /** REPLICA_ID: unique among the running replicas of the service. */
  readonly replicaId: string;
  /** NATS_URL: one or several servers, separated by commas. */
  readonly natsUrl: string;
  /** REDIS_URL */
  readonly redisUrl: string;
  /** PARTITIONS: fixed when the cluster is created. */
  readonly partitions: number;
  /** CLOCK: the log's time, or the watermark of event time. Fixed when the cluster is created. */
  readonly clock: 'live' | 'event';
  /** STATE_LAYOUT: partitions keep the layout their states have in Redis, or get the newest, which no older version reads. */
  readonly stateLayout: 'kept' | 'newest';
  /** SHOP_TIME_ZONE: IANA name; calendar days and quiet hours are those of this zone. */
  readonly shopTimeZone: string;
  /** GRPC_HOST, 127.0.0.1 unless set; GRPC_PORT, 0 takes a free one. */
  readonly grpcHost: string;
  readonly grpcPort: number;
  /** GRPC_REFLECTION: on unless `off`. */
  readonly grpcReflection: boolean;
  /** HTTP_HOST, 127.0.0.1 unless set; HTTP_PORT, 0 takes a free one. */
  readonly httpHost: string;
  readonly httpPort: number;
  readonly logLevel: LogLevel;
  /** SHUTDOWN_MS: how long the end may take after SIGTERM. */
  readonly shutdownMs: number;
  /** STREAM_REPLICAS: copies of streams and definition buckets, 1, 3 or 5. */
  readonly streamReplicas: number;
  /** INGEST_MAX_BYTES, INGEST_MAX_AGE_HOURS, LOG_…, DEAD_LETTERS_…: used when a stream is created. */
  readonly streamLimits: {
    readonly ingest: StreamLimits;
    readonly log: StreamLimits;
    readonly deadLetters: StreamLimits;
  };
  /** OTEL_…: undefined, and nothing is traced, unless a collector is named. */
  readonly tracing?: TracingConfig | undefined;
  /** API_TOKENS_FILE: without it no call but health is allowed. */
  readonly apiTokens: ApiTokens;
  /** SERVICE_TOKEN_FILE: the API token this service calls others with when it does so for nobody else. */
  readonly serviceToken?: string | undefined;
  /** IDENTIFIER_KEY_FILE: key of the identifier hash. */
  readonly identifierKeys?: KeyRing | undefined;
  /** SEALING_KEY_FILE: keys of sealed personal data. */
  readonly sealingKeys?: KeyRing | undefined;
  /** WRITE_KEYS_FILE: who may send events. */
  readonly writeKeys?: WriteKeys | undefined;
  /** DATA_DIR: folder of the embedded chDB. */
  readonly dataDir?: string | undefined;
  readonly clickhouseHttpPort?: number | undefined;
  readonly identityAddr?: string | undefined;
  readonly profileAddr?: string | undefined;
  readonly segmentationAddr?: string | undefined;
  readonly journeyAddr?: string | undefined;
  readonly messagingAddr?: string | undefined;
  readonly analyticsAddr?: string | undefined;
  /** SMTP_URL: smtp:// or smtps://, may carry user and password. */
  readonly smtpUrl?: string | undefined;
  /** SMTP_LOOKUP_URL: HTTP API that tells which messages a mailbox server accepted. */
  readonly smtpLookupUrl?: string | undefined;
  /** MAIL_FROM: `Name <address>` or an address. */
  readonly mailFrom?: string | undefined;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Settings a service may declare it cannot run without. */
const OPTIONAL = {
  serviceToken: 'SERVICE_TOKEN_FILE',
  identifierKeys: 'IDENTIFIER_KEY_FILE',
  sealingKeys: 'SEALING_KEY_FILE',
  writeKeys: 'WRITE_KEYS_FILE',
  dataDir: 'DATA_DIR',
  clickhouseHttpPort: 'CLICKHOUSE_HTTP_PORT',
  identityAddr: 'IDENTITY_ADDR',
  profileAddr: 'PROFILE_ADDR',
  segmentationAddr: 'SEGMENTATION_ADDR',
  journeyAddr: 'JOURNEY_ADDR',
  messagingAddr: 'MESSAGING_ADDR',
  analyticsAddr: 'ANALYTICS_ADDR',
  smtpUrl: 'SMTP_URL',
  smtpLookupUrl: 'SMTP_LOOKUP_URL',
  mailFrom: 'MAIL_FROM',
} as const satisfies Partial<Record<keyof ServiceConfig, string>>;

export type OptionalSetting = keyof typeof OPTIONAL;
export type ConfigWith<K extends OptionalSetting> = ServiceConfig & {
  readonly [P in K]-?: NonNullable<ServiceConfig[P]>;
};

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The configuration in `env`; `requires` names optional settings this service cannot do without.
 * @throws ConfigError with every bad setting at once.
 */
export function loadConfig<K extends OptionalSetting = never>(env: Env, requires: readonly K[] = []): ConfigWith<K> {
  const settings = new Settings(env);
  const config = readConfig(settings, requires);
  settings.finish();
  return config;
}

/** For a service with settings of its own: read these, then those from the same `settings`, then `settings.finish()`. */
export function readConfig<K extends OptionalSetting = never>(
  settings: Settings,
  requires: readonly K[] = [],
): ConfigWith<K> {
  const config: ServiceConfig = { ...readCluster(settings), ...readServer(settings), ...readOptional(settings) };
  for (const key of requires) if (config[key] === undefined) settings.missing(OPTIONAL[key]);
  return config as ConfigWith<K>;
}

const NAME = { pattern: /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/, rule: 'must be 1 to 63 letters, digits, ".", "_" or "-"' };

function readCluster(settings: Settings) {
  return {
    natsUrl: settings.url('NATS_URL', ['nats:', 'tls:']),
    redisUrl: settings.url('REDIS_URL', ['redis:', 'rediss:']),
    partitions: settings.integer('PARTITIONS', { min: 1, max: 1024 }),
    clock: settings.oneOf('CLOCK', ['live', 'event'], { otherwise: 'live' as const }),
    stateLayout: settings.oneOf('STATE_LAYOUT', ['kept', 'newest'], { otherwise: 'kept' as const }),
    shopTimeZone: readTimeZone(settings),
    streamReplicas: Number(settings.oneOf('STREAM_REPLICAS', ['1', '3', '5'], { otherwise: '1' as const })),
    streamLimits: {
      ingest: readLimits(settings, 'INGEST', 7 * 24),
      log: readLimits(settings, 'LOG', 30 * 24),
      deadLetters: readLimits(settings, 'DEAD_LETTERS', 90 * 24),
    },
  };
}

function readTimeZone(settings: Settings): string {
  const zone = settings.text('SHOP_TIME_ZONE', { otherwise: 'UTC' });
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
  } catch {
    settings.problem('SHOP_TIME_ZONE', 'must be an IANA time zone, such as Asia/Shanghai');
  }
  return zone;
}

function readLimits(settings: Settings, stream: string, hours: number): StreamLimits {
  const maxBytes = settings.integer(`${stream}_MAX_BYTES`, { min: -1, max: 2 ** 50, otherwise: -1 });
  const age = settings.integer(`${stream}_MAX_AGE_HOURS`, { min: -1, max: 24 * 3660, otherwise: hours });
  return { maxBytes, maxAgeMs: age < 0 ? -1 : age * 3_600_000 };
}

function readServer(settings: Settings) {
  const port = { min: 0, max: 65_535 };
  return {
    serviceName: settings.text('SERVICE_NAME', NAME),
    replicaId: settings.text('REPLICA_ID', NAME),
    grpcHost: settings.text('GRPC_HOST', { otherwise: '127.0.0.1' }),
    grpcPort: settings.integer('GRPC_PORT', port),
    grpcReflection: settings.oneOf('GRPC_REFLECTION', ['on', 'off'], { otherwise: 'on' }) === 'on',
    httpHost: settings.text('HTTP_HOST', { otherwise: '127.0.0.1' }),
    httpPort: settings.integer('HTTP_PORT', port),
    logLevel: settings.oneOf('LOG_LEVEL', LOG_LEVELS, { otherwise: 'info' as const }),
    shutdownMs: settings.integer('SHUTDOWN_MS', { min: 500, max: 120_000, otherwise: 10_000 }),
    tracing: readTracing(settings),
    apiTokens: settings.file('API_TOKENS_FILE', ApiTokens.parse, { otherwise: ApiTokens.none }),
  };
}

/** A token alone in its file. */
function parseToken(content: string): string {
  const token = content.trim();
  if (!/^[\x21-\x7e]{8,512}$/.test(token)) throw new Error('the file must hold one API token');
  return token;
}

function readOptional(settings: Settings) {
  const absent = { otherwise: undefined };
  return {
    serviceToken: settings.file('SERVICE_TOKEN_FILE', parseToken, absent),
    identifierKeys: settings.file('IDENTIFIER_KEY_FILE', KeyRing.parse, absent),
    sealingKeys: settings.file('SEALING_KEY_FILE', KeyRing.parse, absent),
    writeKeys: settings.file('WRITE_KEYS_FILE', WriteKeys.parse, absent),
    dataDir: settings.text('DATA_DIR', absent),
    clickhouseHttpPort: settings.integer('CLICKHOUSE_HTTP_PORT', { min: 0, max: 65_535, otherwise: undefined }),
    identityAddr: settings.address('IDENTITY_ADDR', absent),
    profileAddr: settings.address('PROFILE_ADDR', absent),
    segmentationAddr: settings.address('SEGMENTATION_ADDR', absent),
    journeyAddr: settings.address('JOURNEY_ADDR', absent),
    messagingAddr: settings.address('MESSAGING_ADDR', absent),
    analyticsAddr: settings.address('ANALYTICS_ADDR', absent),
    smtpUrl: settings.url('SMTP_URL', ['smtp:', 'smtps:'], absent),
    smtpLookupUrl: settings.url('SMTP_LOOKUP_URL', ['http:', 'https:'], absent),
    mailFrom: settings.text('MAIL_FROM', { ...absent, pattern: /@/, rule: 'must be an e-mail address' }),
  };
}
