import { type ConnectionOptions, connect, type NatsConnection, type ServerInfo } from '@nats-io/transport-node';
import type { Logger } from '#lib/telemetry/logger.ts';
import { RefusalError } from './refusal.ts';

/**
 * Oldest server we may stand on: earlier ones lose acknowledged messages when a stream's leader pauses (nats-server #6512,
 * #6415), which would break the first promise.
 */
export const MINIMUM_NATS = '2.15.0';

/** A server that takes a connection and says nothing (it starts, it stands still) is left for the next one. */
const HELLO_MS = 2_000;

/** Waits until NATS answers; from then on the connection repairs itself for ever. */
export async function connectNats(url: string, name: string, logger: Logger): Promise<NatsConnection> {
  const waiting = setInterval(() => logger.warn('waiting for NATS'), 5_000);
  try {
    const connection = await connect({
      ...addressesOf(url),
      name,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      waitOnFirstConnect: true,
      timeout: HELLO_MS,
      // A dead connection is noticed within 9 s even when the other side says nothing.
      pingInterval: 3_000,
      maxPingOut: 2,
      ignoreClusterUpdates: false,
      // An Error with a stack for every request, in case it fails, is a percent or two of a busy stage.
      noAsyncTraces: true,
    });
    checkVersion(connection.info?.version ?? '0');
    checkEncrypted(url, connection.info);
    void logStatus(connection, logger);
    return connection;
  } finally {
    clearInterval(waiting);
  }
}

/**
 * What NATS_URL says. The client itself reads no user and password from it, and encrypts when the server asks for it.
 * All servers are of one cluster: the first user named is the one.
 */
export function addressesOf(url: string): Pick<ConnectionOptions, 'servers' | 'user' | 'pass'> {
  const urls = url.split(',').map((server) => new URL(server.trim()));
  const withUser = urls.find(({ username }) => username !== '');
  return {
    servers: urls.map(({ host }) => host),
    ...(withUser === undefined
      ? {}
      : { user: decodeURIComponent(withUser.username), pass: decodeURIComponent(withUser.password) }),
  };
}

/** @throws RefusalError when the address asks for encryption and the server has none: the client would go on without. */
export function checkEncrypted(
  url: string,
  info: Pick<ServerInfo, 'tls_required' | 'tls_available'> | undefined,
): void {
  if (!url.includes('tls://') || info?.tls_required || info?.tls_available) return;
  throw new RefusalError('NATS_URL says tls://, and the server offers no TLS');
}

/** @throws RefusalError */
export function checkVersion(version: string): void {
  const numbers = (text: string) => text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const have = numbers(version);
  for (const [index, least] of numbers(MINIMUM_NATS).entries()) {
    const number = have[index] ?? 0;
    if (number > least) return;
    if (number < least) {
      throw new RefusalError(
        `nats-server is ${version}; at least ${MINIMUM_NATS} is needed (older ones lose acknowledged messages)`,
      );
    }
  }
}

async function logStatus(connection: NatsConnection, logger: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect' || status.type === 'staleConnection')
      logger.warn({ nats: status.type }, 'NATS is away');
    else if (status.type === 'reconnect') logger.info({ nats: status.type }, 'NATS is back');
    else if (status.type === 'error') logger.error({ nats: status.type, err: status.error }, 'NATS reports an error');
  }
}
