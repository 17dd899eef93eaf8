import { JetStreamApiCodes, JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withServers } from '#tools/testkit/with-servers.ts';
import { Publisher } from '../publisher.ts';

const servers = withServers({ nats: true });
const bytes = Buffer.from('a frame');
let nats: NatsConnection;
let publisher: Publisher;

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
  const jsm = await jetstreamManager(nats);
  await jsm.streams.add({ name: 'S', subjects: ['s.>'] });
  publisher = new Publisher(nats, jetstream(nats), 1_000);
});
afterAll(() => nats.close());

test('tells the place of each message, in whatever order they are answered', async () => {
  const acks = await Promise.all(Array.from({ length: 50 }, () => publisher.publish('s.order', bytes)));
  const first = acks[0]?.seq ?? 0;
  expect(acks.map(({ stream, seq }) => [stream, seq - first])).toEqual(acks.map((_, i) => ['S', i]));
});

test('names the last message of the subject, and is refused when that is another', async () => {
  const { seq } = await publisher.publish('s.last', bytes, { expect: { lastSubjectSequence: 0 } });
  await publisher.publish('s.other', bytes);
  const next = await publisher.publish('s.last', bytes, { expect: { lastSubjectSequence: seq } });
  expect(next.seq).toBeGreaterThan(seq);
  const late = publisher.publish('s.last', bytes, { expect: { lastSubjectSequence: seq } });
  const error = await late.catch((refusal) => refusal);
  expect(error).toBeInstanceOf(JetStreamApiError);
  expect(error.code).toBe(JetStreamApiCodes.StreamWrongLastSequence);
});

test('a message id is stored once, and headers are kept', async () => {
  const said = headers();
  said.set('traceparent', 'a trace');
  const first = await publisher.publish('s.id', bytes, { msgID: 'one', headers: said });
  const second = await publisher.publish('s.id', bytes, { msgID: 'one' });
  expect([first.duplicate, second.duplicate, second.seq]).toEqual([undefined, true, first.seq]);
  const stored = await (await jetstreamManager(nats)).streams.getMessage('S', { last_by_subj: 's.id' });
  expect([stored?.header.get('traceparent'), stored?.header.get('Nats-Msg-Id')]).toEqual(['a trace', 'one']);
  expect(stored?.data).toEqual(new Uint8Array(bytes));
});

test('who is not answered hears of it when its time is over, and not before', async () => {
  const silent = nats.subscribe('nobody.answers');
  const started = performance.now();
  const [soon, later] = ['100', '600'].map(async (ms) => {
    const failure = await publisher.publish('nobody.answers', bytes, { timeout: Number(ms) }).catch(String);
    return { failure, took: performance.now() - started };
  });
  expect(await soon).toMatchObject({ failure: expect.stringContaining('nobody.answers: not acknowledged in time') });
  expect((await soon)?.took).toBeGreaterThan(99);
  expect((await soon)?.took).toBeLessThan(550);
  expect((await later)?.took).toBeGreaterThan(599);
  silent.unsubscribe();
});

test('a subject of no stream is told at once', async () => {
  const started = performance.now();
  await expect(publisher.publish('of.no.stream', bytes)).rejects.toThrow('there is no JetStream');
  expect(performance.now() - started).toBeLessThan(500);
});

test('an answer that is no acknowledgement is not believed', async () => {
  const liar = nats.subscribe('s-lie', { callback: (_, m) => void m.respond('{"stream":"S","seq":0}') });
  await expect(publisher.publish('s-lie', bytes)).rejects.toThrow('not an acknowledgement');
  liar.unsubscribe();
});

test('a connection that is closed is told at once', async () => {
  const other = await connect({ servers: servers.nats.url });
  const publish = new Publisher(other, jetstream(other), 1_000);
  await other.close();
  await expect(publish.publish('s.order', bytes)).rejects.toThrow();
});
