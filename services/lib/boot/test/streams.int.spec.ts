import { setImmediate } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '#lib/config/config.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { ensureStreams } from '../streams.ts';

const servers = withServers({ nats: true });
let nats: NatsConnection;
beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
});
afterAll(() => nats?.close());

test('a start waits for a JetStream that stops answering while the streams are made', async () => {
  const config = loadConfig({
    SERVICE_NAME: 'sample',
    REPLICA_ID: 'one',
    NATS_URL: servers.nats.url,
    REDIS_URL: 'redis://127.0.0.1:1', // asked for, not used here
    PARTITIONS: '4',
    GRPC_PORT: '0',
    HTTP_PORT: '0',
  });
  const said: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line) => void said.push(JSON.parse(line).msg) });
  const before = nats.stats().outMsgs;
  const made = ensureStreams(nats, config, logger);
  // The first question is whether there is a JetStream, the second is for a stream.
  while (nats.stats().outMsgs < before + 2) await setImmediate();
  servers.nats.pause();
  await expect.poll(() => said, { timeout: 20_000 }).toContain('waiting for JetStream');
  servers.nats.resume();
  await made;
  const names = await (await jetstreamManager(nats)).streams.names().next();
  expect(names.sort()).toEqual([STREAMS.ingest.name, STREAMS.log.name, STREAMS.deadLetters.name].sort());
}, 60_000);
