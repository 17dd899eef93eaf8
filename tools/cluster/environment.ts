import type { Member, ServiceName } from './roles.ts';
import type { Secrets } from './secrets.ts';
import type { Settings } from './settings.ts';

/** What a service is told about the world around it. */
export interface Surroundings {
  settings: Settings;
  natsUrl: string;
  redisUrl: string;
  secrets: Secrets['files'];
  /** host:port of the gRPC servers it may call. */
  peers: Partial<Record<ServiceName, string>>;
  smtpUrl?: string | undefined;
  mailboxUrl?: string | undefined;
  mailFrom?: string | undefined;
  logLevel?: string | undefined;
  /** Folder of the embedded ClickHouse. */
  analyticsDir?: string | undefined;
}

/** The settings every service understands, as environment variables. */
export function serviceEnv(member: Member, around: Surroundings): Record<string, string> {
  const { settings, secrets, peers } = around;
  const env: Record<string, string | undefined> = {
    SERVICE_NAME: member.role,
    REPLICA_ID: `${member.role}-${member.replica}`,
    NATS_URL: around.natsUrl,
    REDIS_URL: around.redisUrl,
    PARTITIONS: String(settings.partitions),
    CLOCK: settings.clock,
    SHOP_TIME_ZONE: settings.timeZone,
    GRPC_PORT: text(member.ports.grpc),
    HTTP_PORT: text(member.ports.http),
    CLICKHOUSE_HTTP_PORT: text(member.ports.clickhouse),
    DATA_DIR: member.role === 'analytics' ? around.analyticsDir : undefined,
    IDENTIFIER_KEY_FILE: secrets.identifierKey,
    SEALING_KEY_FILE: secrets.sealingKey,
    WRITE_KEYS_FILE: secrets.writeKeys,
    API_TOKENS_FILE: secrets.apiTokens,
    SERVICE_TOKEN_FILE: secrets.serviceToken,
    LOG_LEVEL: around.logLevel ?? 'info',
    IDENTITY_ADDR: peers.identity,
    PROFILE_ADDR: peers.profile,
    SEGMENTATION_ADDR: peers.segmentation,
    JOURNEY_ADDR: peers.journey,
    MESSAGING_ADDR: peers.messaging,
    ANALYTICS_ADDR: peers.analytics,
    // Where a browser on this machine follows the links of mails.
    PUBLIC_URL: member.role === 'messaging' && member.ports.http ? `http://127.0.0.1:${member.ports.http}` : undefined,
    SMTP_URL: around.smtpUrl,
    SMTP_LOOKUP_URL: around.mailboxUrl,
    MAIL_FROM: around.mailFrom ?? 'Recur <shop@recur.example>',
  };
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function text(port: number | undefined): string | undefined {
  return port === undefined ? undefined : String(port);
}
