import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { Relay } from '../src/relay/relay.ts';

const servers = withServers({ nats: true });
let nats: NatsConnection;

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const manager = await jetstreamManager(nats);
  for (const { name, subjects: taken } of [STREAMS.ingest, STREAMS.log]) {
    await manager.streams.add({ name, subjects: [...taken], allow_direct: true });
  }
});
afterAll(() => nats?.close());

/** Writes a frame of the stage: what it says beside other records. */
async function says(partition: number, ...ids: string[]): Promise<void> {
  const records = ids.flatMap((messageId) => {
    const event = Event.fromPartial({ messageId, type: EventType.EVENT_TYPE_DERIVED, timeMs: 5, source: 'journey' });
    const body = Buffer.from(Event.encode(event).finish());
    return [
      { customerId: 'c', kind: RecordKind.RECORD_KIND_STEP, timeMs: 5, body: Buffer.alloc(0) },
      { customerId: 'c', kind: RecordKind.RECORD_KIND_DERIVED, timeMs: 5, body },
    ];
  });
  await jetstream(nats).publish(subjects.log(partition, 'step'), Frame.encode(Frame.fromPartial({ records })).finish());
}

/** Message ids in INGEST, in order. */
async function told(): Promise<string[]> {
  const manager = await jetstreamManager(nats);
  const { last_seq } = (await manager.streams.info(STREAMS.ingest.name)).state;
  const found: string[] = [];
  for (let seq = 1; seq <= last_seq; seq++) {
    const message = await manager.streams.getMessage(STREAMS.ingest.name, { seq });
    for (const { kind, customerId, timeMs, body } of Frame.decode(message!.data).records) {
      expect({ kind, customerId, timeMs }).toEqual({ kind: RecordKind.RECORD_KIND_EVENT, customerId: '', timeMs: 5 });
      found.push(Event.decode(body).messageId);
    }
  }
  return found;
}

/** Runs a relay that dies at a point. */
async function dies(at: string): Promise<void> {
  const env = { ...process.env, NATS_URL: servers.nats.url, FAIL_POINT: at };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'relay-child.ts')], { env, stdio: 'inherit' });
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [, signal] = await once(child, 'exit');
  clearTimeout(limit);
  expect(signal).toBe('SIGKILL');
}

test('what journeys say reaches INGEST in order, through replicas that die before and after', async () => {
  await says(0, 'a1', 'a2');
  await dies('journey-relay.before_publish');
  expect(await told()).toEqual([]);
  await dies('journey-relay.after_publish');
  expect(await told()).toEqual(['a1', 'a2']);

  const onError = (error: unknown) => expect.unreachable(String(error));
  const relays = ['one', 'two'].map(() => new Relay({ nats, partitions: 2, replicas: 1, onError }));
  for (const relay of relays) relay.start();
  for (let i = 0; i < 20; i++) await says(i % 2, `b${i}`);
  for (const last of ['b18', 'b19']) await expect.poll(told, { timeout: 30_000 }).toContain(last);
  const all = await told();
  // Nobody could know that the frame had arrived before its relay died: the same message ids again, which identity drops.
  expect(all.filter((id) => id[0] === 'a')).toEqual(['a1', 'a2', 'a1', 'a2']);
  const ofPartition = (parity: number) => all.filter((id) => id[0] === 'b' && Number(id.slice(1)) % 2 === parity);
  for (const parity of [0, 1]) {
    expect(ofPartition(parity)).toEqual(Array.from({ length: 10 }, (_, i) => `b${2 * i + parity}`));
  }
  for (const relay of relays) await relay.stop();
}, 150_000);

test('one that starts while NATS is away reads when it is back', async () => {
  await servers.nats.kill9();
  const errors: unknown[] = [];
  const relay = new Relay({ nats, partitions: 2, replicas: 1, onError: (error) => errors.push(error) });
  relay.start();
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  await servers.nats.restart();
  await vi.waitFor(() => says(1, 'c1'), { timeout: 30_000 });
  await expect.poll(told, { timeout: 30_000 }).toContain('c1');
  await relay.stop();
});
