import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame, type LogFrame } from './frames.ts';
import { type PlacedRecord, SubjectWriter } from './subject-writer.ts';

/** A stream that keeps what it is given. */
function memory(): { js: JetStreamClient; jsm: JetStreamManager; frames: LogFrame[] } {
  const frames: LogFrame[] = [];
  const publish = async (_: string, data: Uint8Array) => ({ seq: frames.push(decodeFrame(data)) });
  const getMessage = async () => null;
  return {
    js: { publish } as unknown as JetStreamClient,
    jsm: { streams: { getMessage } } as unknown as JetStreamManager,
    frames,
  };
}

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
  const { frames, ...nats } = memory();
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  const all = outputs(8, 300_000);
  await writer.publish(all, { throughSeq: 17, ahead: 0, aheadSeq: 0, watermarkMs: 9_000 }, false);
  expect(frames.length).toBeGreaterThan(2);
  expect(frames.flatMap((f) => f.records.map((r) => r.customerId))).toEqual(all.map((o) => o.record.customerId));
  let later = all.length;
  for (const frame of frames.toReversed()) {
    const next = all[later]?.record.timeMs ?? Number.POSITIVE_INFINITY;
    expect(frame.watermarkMs).toBeLessThanOrEqual(next);
    later -= frame.records.length;
  }
  expect(frames.at(-1)?.watermarkMs).toBe(9_000);
  expect(writer.watermarkMs).toBe(9_000);
});

test('what is there already is not published again', async () => {
  const { frames, ...nats } = memory();
  const writer = await SubjectWriter.open(nats, 'LOG', 'log.0.event', () => true);
  const all = outputs(4, 10);
  await writer.publish(all.slice(0, 3), { throughSeq: 12, ahead: 0, aheadSeq: 0, watermarkMs: 0 }, false);
  await writer.publish(all, { throughSeq: 13, ahead: 0, aheadSeq: 0, watermarkMs: 0 }, false);
  expect(frames.map((f) => f.records.map((r) => r.customerId))).toEqual([['c0', 'c1', 'c2'], ['c3']]);
});
