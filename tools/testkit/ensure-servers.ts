import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { ensureRedis } from '#tools/servers/ensure-redis.ts';

/** Before any test's clock runs: on a machine without one, building nats-server takes longer than a test may. */
export default async function setup(): Promise<void> {
  await ensureNats();
  await ensureRedis();
}
