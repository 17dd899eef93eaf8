import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretsIn } from '#tools/cluster/secrets.ts';
import type { Manifest } from './manifest.ts';

export interface SecretOptions {
  namespace: string;
  /** With components/tls: services reach NATS and Redis encrypted. */
  tls: boolean;
  smtpUrl: string;
  /** A mailbox server that tells which mails it took; providers have none. */
  smtpLookupUrl?: string | undefined;
  mailFrom: string;
}

/**
 * The secrets the manifests refer to, new and random, for a cluster's first day. They are printed and kept nowhere: with another
 * identifier key nobody would be recognised again, with another sealing key nothing personal can be read.
 */
export function newSecrets({ namespace, tls, smtpUrl, smtpLookupUrl, mailFrom }: SecretOptions): Manifest[] {
  const password = () => randomBytes(24).toString('hex');
  const nats = { user: 'recur', password: password() };
  const redis = password();
  const secret = (name: string, stringData: Record<string, string>): Manifest => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'recur' } },
    stringData,
  });
  return [
    secret('recur-keys', keyFiles()),
    secret('recur-stores', {
      NATS_USER: nats.user,
      NATS_PASSWORD: nats.password,
      NATS_URL: `${tls ? 'tls' : 'nats'}://${nats.user}:${nats.password}@nats:4222`,
      REDIS_PASSWORD: redis,
      REDIS_URL: `${tls ? 'rediss' : 'redis'}://:${redis}@redis:6379`,
      'redis-auth.conf': `requirepass ${redis}\n`,
    }),
    // Of components/clickhouse; without it nobody reads it.
    secret('recur-clickhouse', { password: password() }),
    secret('recur-smtp', {
      SMTP_URL: smtpUrl,
      MAIL_FROM: mailFrom,
      ...(smtpLookupUrl === undefined ? {} : { SMTP_LOOKUP_URL: smtpLookupUrl }),
    }),
  ];
}

function keyFiles(): Record<string, string> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-secrets-'));
  try {
    const { files } = secretsIn(dir);
    return {
      'identifier.key': readFileSync(files.identifierKey, 'utf8'),
      'sealing.key': readFileSync(files.sealingKey, 'utf8'),
      'write-keys.json': readFileSync(files.writeKeys, 'utf8'),
      'api-tokens.json': readFileSync(files.apiTokens, 'utf8'),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
