import { Redis } from 'ioredis';
import type { Logger } from '#lib/telemetry/logger.ts';
import { releaseEndedCommands } from './ended-commands.ts';
import { RefusalError } from './refusal.ts';

/** No command waits longer for its answer, so nothing hangs on a connection that died. */
const COMMAND_TIMEOUT_MS = 5_000;

/**
 * A connection that retries for ever. ioredis repeats commands whose answer was lost with the connection: use only
 * commands and functions that may run twice (fenced by an epoch or a sequence).
 */
export function createRedis(url: string, name: string, logger: Logger): Redis {
  releaseEndedCommands();
  const redis = new Redis(url, {
    connectionName: name,
    lazyConnect: true,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000) + Math.random() * 200,
    // A replica that was promoted elsewhere refuses writes: connect again, to whoever is the master now.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  });
  let away = false;
  redis.on('error', (error: Error) => {
    if (!away) logger.warn({ reason: error.message }, 'Redis is away');
    away = true;
  });
  redis.on('ready', () => {
    if (away) logger.info('Redis is back');
    away = false;
  });
  return redis;
}

/** Waits until Redis answers and has loaded its data. */
export async function connectRedis(redis: Redis, logger: Logger): Promise<void> {
  const waiting = setInterval(() => logger.warn('waiting for Redis'), 5_000);
  try {
    const ready = new Promise<void>((resolve) => redis.once('ready', resolve));
    // The first attempt may fail; the retries go on behind it.
    redis.connect().catch(() => undefined);
    await ready;
  } finally {
    clearInterval(waiting);
  }
}

/**
 * State must never be evicted, and should survive a restart.
 * @throws RefusalError
 */
export async function checkRedis(redis: Redis, logger: Logger): Promise<void> {
  const settings = await readSettings(redis);
  if (settings === undefined) {
    logger.warn('Redis does not let CONFIG be read: make sure of maxmemory-policy noeviction and appendonly yes');
    return;
  }
  const policy = settings.get('maxmemory-policy');
  if (policy !== 'noeviction') {
    throw new RefusalError(
      `Redis has maxmemory-policy ${policy}: it would drop customers' state. Set it to noeviction`,
    );
  }
  if (settings.get('appendonly') !== 'yes') {
    logger.warn('Redis has appendonly no: after its restart all state is folded again from the log. Set it to yes');
  }
}

async function readSettings(redis: Redis): Promise<Map<string, string> | undefined> {
  try {
    // One at a time: Redis before 7.0 takes only one name.
    const answers = (await Promise.all(
      ['maxmemory-policy', 'appendonly'].map((name) => redis.config('GET', name)),
    )) as [string, string][];
    return new Map(answers);
  } catch {
    return undefined;
  }
}
