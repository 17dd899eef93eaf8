import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MailboxServer, startMailbox } from '#tools/mailbox/process.ts';
import { type NatsOptions, type NatsServer, startNats } from '#tools/servers/nats.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { type RedisOptions, startRedis } from '#tools/servers/redis.ts';
import type { Server } from '#tools/servers/server.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';

/** A port where nobody listens, and nobody who asks the system for one will: for a server that a test starts later. */
export const quietPort: () => Promise<number> = privatePort;

/** Which servers a test wants; `true` or settings of its own. */
export interface Wanted {
  nats?: true | Omit<NatsOptions, 'dir'>;
  redis?: true | Omit<RedisOptions, 'dir'>;
  mailbox?: true;
}

interface Kinds {
  nats: NatsServer;
  redis: Server;
  mailbox: MailboxServer;
}

/** Exactly those that were wanted. */
export type Started<W extends Wanted> = { [K in keyof W & keyof Kinds]: Kinds[K] } & {
  /** A folder for the test's own files; gone at the end, as everything is. */
  dir: string;
  stop(): Promise<void>;
};

/**
 * Real servers on private ports and a temporary folder. `stop` ends them and deletes the folder; when the test process
 * dies instead, however it does, the watchdog does the same. RECUR_KEEP=1 keeps the folder, to look at logs.
 */
export async function startServers<const W extends Wanted>(wanted: W): Promise<Started<W>> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-test-'));
  const keep = process.env.RECUR_KEEP === '1';
  if (!keep) deleteWithUs(dir);
  const own = <T extends object>(option: true | T | undefined) => (option === true ? {} : (option ?? {}));
  const results = await Promise.allSettled([
    wanted.nats && startNats({ ...own(wanted.nats), dir: join(dir, 'nats') }),
    wanted.redis && startRedis({ ...own(wanted.redis), dir: join(dir, 'redis') }),
    wanted.mailbox && startMailbox({ dir: join(dir, 'mailbox') }),
  ]);
  const stop = async () => {
    const servers = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
    // Nothing of theirs is kept, so nothing of theirs need be finished.
    await Promise.all(servers.map((server) => server?.kill9()));
    await Promise.all(servers.map((server) => server?.stop()));
    if (!keep) rmSync(dir, { recursive: true, force: true });
  };
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const [nats, redis, mailbox] = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  return { dir, stop, nats, redis, mailbox } as unknown as Started<W>;
}
