import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ensureStreams } from '#lib/boot/streams.ts';
import { loadConfig } from '#lib/config/config.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { subjects } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { LogPast } from '../src/store/past.ts';
import { eventBody } from './lane-model.ts';

const ANNA = 'anna';
const servers = withServers({ nats: true });
let nats: NatsConnection;
let past: LogPast;
/** Whether NATS stops when it is asked for a partition's last record. */
let stops = false;

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
  const config = loadConfig({
    SERVICE_NAME: 'identity',
    REPLICA_ID: 'one',
    NATS_URL: servers.nats.url,
    REDIS_URL: 'redis://127.0.0.1:1', // asked for, not used here
    PARTITIONS: '1',
    GRPC_PORT: '0',
    HTTP_PORT: '0',
  });
  await ensureStreams(nats, config, pino({ level: 'silent' }));
  const jsm = await jetstreamManager(nats, { timeout: 500 });
  const getMessage: typeof jsm.streams.getMessage = (...asked) => {
    if (stops) servers.nats.pause();
    return jsm.streams.getMessage(...asked);
  };
  const streams = Object.create(jsm.streams, { getMessage: { value: getMessage } });
  past = new LogPast(jetstream(nats, { timeout: 500 }), Object.create(jsm, { streams: { value: streams } }), 1);
  const of = (kind: RecordKind, body: Uint8Array) => ({
    ...{ customerId: ANNA, kind, body, timeMs: 1, originSeq: 1, originIndex: 0, fromTimer: false },
  });
  const records = [
    of(RecordKind.RECORD_KIND_IDENTITY, IdentityChange.encode(IdentityChange.fromPartial({ created: true })).finish()),
    of(RecordKind.RECORD_KIND_EVENT, eventBody(1, ['phone:1'])),
  ];
  const frame = encodeFrame({ throughSeq: 1, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
  await jetstream(nats).publish(subjects.log(0, 'event'), frame);
});
afterAll(() => nats?.close());

const read = () => past.read(new Set([ANNA]), 10, 100);

test('a log that does not answer is an error, not a customer without a past', async () => {
  expect(await read()).toMatchObject({ incomplete: [], records: [{ loggedAs: ANNA }] });
  stops = true;
  const outcome = await read().catch((error: Error) => error);
  stops = false;
  servers.nats.resume();
  expect(outcome).toBeInstanceOf(Error);
  expect(await read()).toMatchObject({ incomplete: [], records: [{ loggedAs: ANNA }] });
});

test('who is not in the log is told', async () => {
  expect(await past.read(new Set(['nobody']), 10, 100)).toMatchObject({ incomplete: ['nobody'], records: [] });
});
