import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JetStreamPublishOptions,
} from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame, encodeFrame, type LogFrame } from './frames.ts';
import { ConflictError, type NatsHandles, type PlacedRecord, SubjectWriter } from './subject-writer.ts';

/** A stream that keeps what it is given. */
function memory({ lostAnswers = 0, refusals = 0 } = {}) {
  const stored: Uint8Array[] = [];
  const retries: string[] = [];
  let [lost, refused] = [lostAnswers, refusals];
  const publish = async (_: string, data: Uint8Array, options: Partial<JetStreamPublishOptions>) => {
    if (refused-- > 0) throw new Error('no leader');
    if (options.expect?.lastSubjectSequence !== stored.length) throw WRONG_SEQUENCE;
    stored.push(data);
    if (lost-- > 0) throw new Error('timeout');
    return { seq: stored.length };
  };
  const getMessage = async () => (stored.length > 0 ? { seq: stored.length, data: stored.at(-1) } : null);
  const nats: NatsHandles = {
    js: { publish } as unknown as JetStreamClient,
    jsm: { streams: { getMessage } } as unknown as JetStreamManager,
    onRetry: (subject, error, times) => retries.push(`${subject} ${(error as Error).message} ${times}`),
  };
  return {
    ...nats,
    retries,
    /** Somebody else writes. */
    intrude: (data: Uint8Array) => stored.push(data),
    get frames(): LogFrame[] {
      return stored.map((data) => decodeFrame(data));
    },
  };
}

const WRONG_SEQUENCE = new JetStreamApiError({
  code: 400,
  err_code: JetStreamApiCodes.StreamWrongLastSequence,
  description: 'wrong last sequence',
});
const END = { throughSeq: 17, ahead: 0, aheadSeq: 0, watermarkMs: 9_000 };

const outputs = (count: number, bytes: number): PlacedRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    seq: 10 + i,
    ordinal: 0,
    record: {
      customerId: `c${i}`,
      kind: RecordKind.RECORD_KIND_EVENT,
      timeMs: 1_000 * (i + 1),
      originSeq: 10 + i,
      originIndex: 0,
      fromTimer: false,
      body: new Uint8Array(bytes),
    },
  }));

test('a batch in several frames does not move time ahead of the records still to come', async () => {
  const nats = memory();
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  const all = outputs(8, 300_000);
  await writer.publish(all, { throughSeq: 17, ahead: 0, aheadSeq: 0, watermarkMs: 9_000 }, false);
  expect(nats.frames.length).toBeGreaterThan(2);
  expect(nats.frames.flatMap((f) => f.records.map((r) => r.customerId))).toEqual(all.map((o) => o.record.customerId));
  let later = all.length;
  for (const frame of nats.frames.toReversed()) {
    const next = all[later]?.record.timeMs ?? Number.POSITIVE_INFINITY;
    expect(frame.watermarkMs).toBeLessThanOrEqual(next);
    later -= frame.records.length;
  }
  expect(nats.frames.at(-1)?.watermarkMs).toBe(9_000);
  expect(writer.watermarkMs).toBe(9_000);
});

test('what is there already is not published again', async () => {
  const nats = memory();
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  const all = outputs(4, 10);
  await writer.publish(all.slice(0, 3), { throughSeq: 12, ahead: 0, aheadSeq: 0, watermarkMs: 0 }, false);
  await writer.publish(all, { throughSeq: 13, ahead: 0, aheadSeq: 0, watermarkMs: 0 }, false);
  expect(nats.frames.map((f) => f.records.map((r) => r.customerId))).toEqual([['c0', 'c1', 'c2'], ['c3']]);
});

test('every failed try is told, and it goes on until it works', async () => {
  const nats = memory({ refusals: 3 });
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  await writer.publish(outputs(1, 10), END, false);
  expect(nats.frames).toHaveLength(1);
  expect(nats.retries).toEqual([1, 2, 3].map((times) => `log.0.event no leader ${times}`));
});

test('a frame whose answer was lost is found to be there, and written once', async () => {
  const nats = memory({ lostAnswers: 1 });
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  await writer.publish(outputs(1, 10), { ...END, throughSeq: 10 }, false);
  await writer.publish(outputs(2, 10).slice(1), { ...END, throughSeq: 18 }, false);
  expect(nats.frames).toHaveLength(2);
  expect(nats.retries).toEqual(['log.0.event timeout 1']);
});

test("somebody else's frame is a conflict, also after an answer was lost", async () => {
  const nats = memory({ refusals: 1 });
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  nats.intrude(encodeFrame({ ...END, records: [] }));
  await expect(writer.publish(outputs(1, 10), END, false)).rejects.toBeInstanceOf(ConflictError);
});
