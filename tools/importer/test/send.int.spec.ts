import { afterEach, expect, test } from 'vitest';
import { encoded, Sender } from '../send.ts';
import { type Answer, FakeIngest, type Reply, type Sent, STORED } from './fake-ingest.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function sending(answer: Answer, ms = 2_000) {
  const ingest = await FakeIngest.start(answer);
  const sender = new Sender({ url: ingest.url, writeKey: 'wk_test' }, { ms, waits: [5, 10] });
  open.push({ close: () => ingest.stop() }, sender);
  return { ingest, sender };
}

const events = (n: number) =>
  Array.from({ length: n }, (_, i) => encoded({ lines: [i + 2], body: { messageId: `m${i}`, type: 'track' } }));
const ids = (list: readonly Sent[]) => list.map(({ messageId }) => messageId);
const wanted = (n: number, without: readonly number[] = []) =>
  Array.from({ length: n }, (_, i) => `m${i}`).filter((_, i) => !without.includes(i));
const busy: Reply = { status: 429, body: { success: false, code: 'overloaded' }, headers: { 'retry-after': '0' } };

test('a batch goes out as one request, with the write key', async () => {
  const { ingest, sender } = await sending(() => STORED);
  expect(await sender.send(events(3))).toEqual([]);
  expect(ingest.requests.map(ids)).toEqual([wanted(3)]);
  expect(ingest.headers[0]?.authorization).toBe(`Basic ${Buffer.from('wk_test:').toString('base64')}`);
});

test.each([
  ['429', busy],
  ['503', { status: 503 }],
  ['500', { status: 500 }],
  ['a connection that is cut', undefined],
])('%s is tried again until it is stored, with the same events in the same order', async (_, failure) => {
  const { ingest, sender } = await sending((_batch, request) => (request < 4 ? failure : STORED));
  expect(await sender.send(events(5))).toEqual([]);
  expect(sender.retries).toBe(3);
  expect(ingest.requests.map(ids)).toEqual(Array(4).fill(wanted(5)));
  expect(ids(ingest.stored)).toEqual(wanted(5));
});

test('it waits as long as Retry-After says', async () => {
  const later: Reply = { status: 429, headers: { 'retry-after': '1' } };
  const { sender } = await sending((_batch, request) => (request === 1 ? later : STORED), 5_000);
  const started = performance.now();
  await sender.send(events(1));
  expect(performance.now() - started).toBeGreaterThan(990);
});

test('a service that stays away ends the import, with what it said last', async () => {
  const { sender } = await sending(() => ({ status: 503, body: { message: 'The log does not answer.' } }), 60);
  await expect(sender.send(events(1))).rejects.toThrow(/did not take events for 0.06 s: 503 .*The log does not answer/);
});

test('events that are refused are left out, with field and rule, and the others stored', async () => {
  const errors = [
    { index: 1, field: 'timestamp', rule: 'must be ISO 8601' },
    { index: 3, field: 'properties.total', rule: 'must be a number' },
    { index: 3, field: 'userId', rule: 'must be text' },
  ];
  const { ingest, sender } = await sending((batch) =>
    batch.length === 5 ? { status: 400, body: { errors } } : STORED,
  );
  const refused = await sender.send(events(5));
  expect(refused.map(({ event, reason }) => [event.lines, reason])).toEqual([
    [[3], 'timestamp: must be ISO 8601'],
    [[5], 'properties.total: must be a number; userId: must be text'],
  ]);
  expect(ids(ingest.stored)).toEqual(wanted(5, [1, 3]));
});

test('more of them than one answer lists are found answer by answer', async () => {
  const bad = (e: Sent) => Number(e.messageId.slice(1)) % 3 === 0;
  const { ingest, sender } = await sending((batch) => {
    const errors = batch.flatMap((e, index) => (bad(e) ? [{ index, field: 'x', rule: 'y' }] : [])).slice(0, 4);
    return errors.length > 0 ? { status: 400, body: { errors } } : STORED;
  });
  const refused = await sender.send(events(30));
  expect(refused.map(({ event }) => event.lines[0])).toEqual([2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
  expect(ids(ingest.stored)).toEqual(ids(ingest.requests.at(-1) ?? []));
  expect(ingest.stored.length).toBe(20);
});

test('too large a batch is halved until it fits, in order', async () => {
  const { ingest, sender } = await sending((batch) => (batch.length > 3 ? { status: 413 } : STORED));
  expect(await sender.send(events(11))).toEqual([]);
  expect(ids(ingest.stored)).toEqual(wanted(11));
});

test('one event that is too large by itself is refused, the others are stored', async () => {
  const { ingest, sender } = await sending((batch) =>
    batch.some(({ messageId }) => messageId === 'm2') ? { status: 413, body: { code: 'too_large' } } : STORED,
  );
  const refused = await sender.send(events(5));
  expect(refused.map(({ event, reason }) => [event.lines, reason])).toEqual([[[4], '413 {"code":"too_large"}']]);
  expect(ids(ingest.stored)).toEqual(wanted(5, [2]));
});

test.each([
  ['an unknown write key', { status: 401, body: { code: 'unauthorized' } }, /answered 401: .*unauthorized/],
  ['a 400 that names no event', { status: 400, body: { message: 'no JSON' } }, /answered 400: .*no JSON/],
  ['an index that is none of ours', { status: 400, body: { errors: [{ index: 9 }] } }, /answered 400/],
])('%s ends the import instead of looping', async (_, answer, message) => {
  const { ingest, sender } = await sending(() => answer);
  await expect(sender.send(events(2))).rejects.toThrow(message);
  expect(ingest.requests.length).toBe(1);
});
