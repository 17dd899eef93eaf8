import { afterAll, beforeAll } from 'vitest';
import { type Started, startServers, type Wanted } from './servers.ts';

/**
 * Servers for the tests of a file (or of a `describe`): started before the first, ended after the last.
 *
 *     const servers = withServers({ nats: true, redis: true });
 *     test('…', async () => { await connect({ servers: servers.nats.url }); … });
 *
 * They are there inside tests and hooks, not yet while the file is read.
 */
export function withServers<const W extends Wanted>(wanted: W): Started<W> {
  const started = {} as Started<W>;
  beforeAll(async () => {
    Object.assign(started, await startServers(wanted));
  }, 120_000);
  afterAll(async () => {
    await started.stop?.();
  }, 30_000);
  return started;
}
