import { describe, expect, test } from 'vitest';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { LogRefusal } from '../processor.ts';
import { type FramePublisher, FrameWriter, type FrameWriterLimits } from './frame-writer.ts';

/** Frames are kept until the test answers them. */
class Publisher implements FramePublisher {
  reachable = true;
  readonly frames: { texts: string[]; ack: () => void; fail: (error: Error) => void }[] = [];

  publish(frame: Uint8Array): Promise<void> {
    const texts = decodeFrame(frame).records.map(({ body }) => Buffer.from(body).toString());
    return new Promise((ack, fail) => this.frames.push({ texts, ack, fail }));
  }
}

const record = (text: string): LogRecord => ({
  customerId: '',
  kind: RecordKind.RECORD_KIND_EVENT,
  timeMs: 1,
  originSeq: 0,
  originIndex: 0,
  fromTimer: false,
  body: Buffer.from(text),
});

function setUp(limits: Partial<FrameWriterLimits> = {}) {
  const publisher = new Publisher();
  const refused: string[] = [];
  const observer = { stored: () => {}, refused: (reason: string) => refused.push(reason) };
  const all = { maxRecords: 4, maxBytes: 10_000, window: 2, maxPendingBytes: 100_000, ...limits };
  const writer = new FrameWriter(publisher, observer, all, () => 0);
  const outcomes: string[] = [];
  const append = (name: string, count = 1, size = 50): void => {
    const records = Array.from({ length: count }, (_, i) => record(count === 1 ? name : `${name}${i}`));
    writer.append(records, size).then(
      () => outcomes.push(`${name} stored`),
      (error: LogRefusal) => outcomes.push(`${name} ${error.reason}`),
    );
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { publisher, writer, outcomes, append, settle, refused };
}

describe('group commit', () => {
  test('the first goes at once, those that come meanwhile go together', async () => {
    const { publisher, outcomes, append, settle } = setUp();
    for (const name of ['a', 'b', 'c']) append(name);
    expect(publisher.frames.map(({ texts }) => texts)).toEqual([['a']]);
    publisher.frames[0]?.ack();
    await settle();
    expect(publisher.frames[1]?.texts).toEqual(['b', 'c']);
    expect(outcomes).toEqual(['a stored']);
    publisher.frames[1]?.ack();
    await settle();
    expect(outcomes).toEqual(['a stored', 'b stored', 'c stored']);
  });

  test('full frames overlap, up to the window, in order', async () => {
    const { publisher, append, settle } = setUp();
    append('a', 3);
    append('b', 3);
    append('c', 3);
    append('d', 3);
    expect(publisher.frames.map(({ texts }) => texts.join())).toEqual(['a0,a1,a2', 'b0,b1,b2,c0']);
    publisher.frames[1]?.ack();
    await settle();
    expect(publisher.frames[2]?.texts.join()).toBe('c1,c2,d0,d1');
  });

  test('a request in several frames is answered after the last of them', async () => {
    const { publisher, outcomes, append, settle } = setUp();
    append('a', 6);
    expect(publisher.frames.map(({ texts }) => texts.length)).toEqual([4]);
    publisher.frames[0]?.ack();
    await settle();
    expect(outcomes).toEqual([]);
    publisher.frames[1]?.ack();
    await settle();
    expect(outcomes).toEqual(['a stored']);
  });

  test('bytes bound a frame as well', async () => {
    const { publisher, append, settle } = setUp({ maxBytes: 100 });
    append('x');
    append('y'.repeat(60));
    append('z'.repeat(60));
    publisher.frames[0]?.ack();
    await settle();
    expect(publisher.frames[1]?.texts.map((text) => text[0])).toEqual(['y']);
    publisher.frames[1]?.ack();
    await settle();
    expect(publisher.frames[2]?.texts.map((text) => text[0])).toEqual(['z']);
  });
});

describe('refusals', () => {
  test('a frame that is not stored fails exactly its requests', async () => {
    const { publisher, writer, outcomes, append, settle } = setUp();
    append('a');
    append('b');
    append('c');
    publisher.frames[0]?.fail(new LogRefusal('full', 'full', 1));
    await settle();
    expect(outcomes).toEqual(['a full']);
    publisher.frames[1]?.ack();
    await settle();
    expect(outcomes).toEqual(['a full', 'b stored', 'c stored']);
    expect(writer.pendingBytes).toBe(0);
  });

  test('one frame of a request lost: the request failed, whatever became of the other', async () => {
    const { publisher, writer, outcomes, append, settle } = setUp();
    append('a', 8);
    expect(publisher.frames).toHaveLength(2);
    publisher.frames[0]?.fail(new LogRefusal('full', 'full', 1));
    publisher.frames[1]?.ack();
    await settle();
    expect(outcomes).toEqual(['a full']);
    expect(writer.pendingBytes).toBe(0);
  });

  test('the server away fails what waits too', async () => {
    const { publisher, writer, outcomes, append, settle } = setUp();
    append('a');
    append('b');
    publisher.reachable = false;
    publisher.frames[0]?.fail(new Error('connection lost'));
    append('c');
    await settle();
    expect(outcomes.toSorted()).toEqual(['a away', 'b away', 'c away']);
    expect(publisher.frames).toHaveLength(1);
    expect(writer.pendingBytes).toBe(0);
    await writer.flushed();
  });

  test('too much under way is refused, and room comes back', async () => {
    const { publisher, outcomes, append, settle, refused } = setUp({ maxPendingBytes: 100 });
    append('a', 1, 90);
    append('b', 1, 20);
    await settle();
    expect(outcomes).toEqual(['b full']);
    expect(refused).toEqual(['full']);
    publisher.frames[0]?.ack();
    await settle();
    append('c', 1, 200);
    publisher.frames[1]?.ack();
    await settle();
    expect(outcomes).toEqual(['b full', 'a stored', 'c stored']);
  });
});
