// A replica that runs the two test stages, for the conformance suite to kill, pause and starve.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { startStage } from '../stage.ts';
import type { ClockMode } from '../steps.ts';
import { first, second, working } from './chain.ts';

const env = (name: string): string => process.env[name] ?? '';
const nats = await connect({
  servers: env('NATS_URL'),
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  waitOnFirstConnect: true,
});
const redis = new Redis(env('REDIS_URL'), {
  maxRetriesPerRequest: null,
  commandTimeout: 5_000,
  retryStrategy: () => 100,
});
redis.on('error', () => {});
const logger = pino({ level: 'info' });
const options = {
  nats,
  redis,
  partitions: Number(env('PARTITIONS')),
  clock: env('CLOCK') as ClockMode,
  replicaId: env('REPLICA_ID'),
  logger,
};
/** Written at once: the process may be killed the moment after. */
const begun = env('BEGUN_FILE');
const note = (key: string, recovered: boolean) => appendFileSync(begun, `${key} ${recovered ? 'again' : 'new'}\n`);
const stages = await Promise.all([
  startStage(begun === '' ? first : working(note), { ...options, registry: new Registry() }),
  startStage(second, { ...options, registry: new Registry() }),
]);

const server = createServer((_, res) => {
  const partitions = stages.map((s) => s.partitions());
  res.end(JSON.stringify({ partitions, rss: process.memoryUsage().rss }));
});
server.listen(Number(env('HTTP_PORT')), '127.0.0.1');

process.on('SIGTERM', async () => {
  await Promise.all(stages.map((s) => s.stop()));
  await nats.drain();
  process.exit(0);
});
