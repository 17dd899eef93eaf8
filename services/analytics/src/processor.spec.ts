import { describe, expect, it } from 'vitest';
import { Delivery } from '#gen/recur/log/v1/changes.ts';
import { Commerce, Event, Line } from '#gen/recur/log/v1/event.ts';
import { Frame, Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import type { Block, FrameMessage } from './core/batch.ts';
import { StoredPositions } from './core/stored.ts';
import { Sink, type SinkLimits, type SinkStore } from './processor.ts';

/** Like ClickHouse: an insert happens or not; `faults` says what becomes of each attempt. */
class FakeStore implements SinkStore {
  readonly insertsAtOnce = 2;
  readonly blocks: Block[] = [];
  through = 0;
  readonly #faults: readonly Fault[];
  #attempt = 0;

  constructor(faults: readonly Fault[]) {
    this.#faults = faults;
  }

  async positions(tables?: readonly string[]): Promise<StoredPositions> {
    const positions = new StoredPositions();
    for (const b of this.blocks) {
      if (tables && !tables.includes(b.table)) continue;
      for (const [p, seq] of b.lastSeq)
        positions.set(b.table, p, b.month, Math.max(seq, positions.seqOf(b.table, p, b.month)));
    }
    return positions;
  }

  offset = async (): Promise<number> => this.through;
  writeOffset = async (seq: number): Promise<void> => {
    this.through = seq;
  };

  async insert(block: Block): Promise<void> {
    const fault = this.#faults[this.#attempt++ % Math.max(1, this.#faults.length)] ?? 'none';
    if (fault === 'refused') throw new Error('refused');
    if (fault === 'crash before') throw new Crash();
    this.blocks.push(block);
    if (fault === 'answer lost') throw new Error('answer lost');
    if (fault === 'crash after') throw new Crash();
  }

  get rows(): Map<string, number> {
    const rows = new Map<string, number>();
    for (const b of this.blocks) rows.set(b.table, (rows.get(b.table) ?? 0) + b.rows);
    return rows;
  }
}
class Crash extends Error {}
type Fault = 'none' | 'refused' | 'answer lost' | 'crash before' | 'crash after';

const MONTHS = [Date.UTC(2026, 0, 31, 23), Date.UTC(2026, 1, 1), Date.UTC(2026, 2, 5)];
const recordOf = (kind: 'event' | 'delivery', month: number, lines: number): Record => {
  const body =
    kind === 'event'
      ? Event.encode(
          Event.fromPartial({
            messageId: 'm',
            commerce: Commerce.fromPartial({
              lines: Array.from({ length: lines }, () => Line.fromPartial({ productId: 'p' })),
            }),
          }),
        ).finish()
      : Delivery.encode(Delivery.fromPartial({ idempotencyKey: 'k' })).finish();
  const recordKind = kind === 'event' ? RecordKind.RECORD_KIND_EVENT : RecordKind.RECORD_KIND_DELIVERY;
  return Record.fromPartial({ customerId: 'c', kind: recordKind, timeMs: MONTHS[month] ?? 0, body: Buffer.from(body) });
};
const records = fc.record({
  kind: fc.constantFrom('event' as const, 'delivery' as const),
  month: fc.nat(2),
  lines: fc.nat(2),
});
const frames = fc.array(
  fc.record({
    partition: fc.nat(2),
    gap: fc.integer({ min: 1, max: 3 }),
    records: fc.array(records, { maxLength: 4 }),
  }),
  { maxLength: 30 },
);

function logOf(
  made: { partition: number; gap: number; records: { kind: 'event' | 'delivery'; month: number; lines: number }[] }[],
): FrameMessage[] {
  let seq = 0;
  return made.map(({ partition, gap, records: rs }) => {
    seq += gap;
    const frame = { ...Frame.fromPartial({}), records: rs.map((r) => recordOf(r.kind, r.month, r.lines)) };
    return { partition, seq, data: Buffer.from(Frame.encode(frame).finish()) };
  });
}

const LIMITS: SinkLimits = { rows: 5, bytes: 1 << 20, waitMs: 0, busyWaitMs: 0, busyRows: 1, offsetMs: 0, retryMs: 0 };

/** A sink that waits as in a shop, by a clock of its own. */
const shopSink = (store: SinkStore, now: () => number): Promise<Sink> =>
  Sink.open({
    store,
    limits: { ...LIMITS, rows: 10_000, waitMs: 1_000, busyWaitMs: 3_000, busyRows: 500, offsetMs: 60_000 },
    now,
    refuse: async () => {},
    onError: () => {},
  });

/** Runs the sink over the log, as often as it takes: a crash starts a new one on what the store holds. */
async function runToEnd(log: readonly FrameMessage[], store: FakeStore, batch: number): Promise<number> {
  for (let lives = 1; ; lives++) {
    let crashed = false;
    const sink: Sink = await Sink.open({
      store,
      limits: LIMITS,
      now: () => performance.now(),
      refuse: async () => {},
      onError: (error) => {
        if (!(error instanceof Crash)) return;
        crashed = true;
        void sink.abandon();
      },
    });
    // The log may be read again from anywhere before.
    const rest = log.filter((f) => f.seq >= Math.max(0, sink.fromSeq - 3));
    for (let i = 0; i < rest.length && !crashed; i += batch) await sink.accept(rest.slice(i, i + batch));
    if (!crashed) await sink.drain();
    await sink.abandon();
    if (!crashed) return lives;
    if (lives > 500) throw new Error('does not end');
  }
}

describe('sink', () => {
  it('stores every row once, whatever fails or crashes between the inserts', async () => {
    const faults = fc
      .array(fc.constantFrom<Fault>('none', 'none', 'none', 'refused', 'answer lost', 'crash before', 'crash after'), {
        maxLength: 12,
      })
      .map((f) => [...f, 'none' as const]);
    await fc.assert(
      fc.asyncProperty(frames, faults, fc.integer({ min: 1, max: 10 }), async (made, failing, batch) => {
        const all = made.flatMap((f) => f.records);
        const events = all.filter((r) => r.kind === 'event');
        const expected = new Map(
          [
            ['events', events.length],
            ['event_lines', events.reduce((sum, r) => sum + r.lines, 0)],
            ['deliveries', all.length - events.length],
          ].filter(([, n]) => (n as number) > 0) as [string, number][],
        );
        const store = new FakeStore(failing);
        const log = logOf(made);
        await runToEnd(log, store, batch);
        expect(new Map([...store.rows].sort())).toEqual(new Map([...expected].sort()));
        expect(store.through).toBe(log.at(-1)?.seq ?? 0);
      }),
      { numRuns: 150 },
    );
  }, 30_000);

  it('a block never spans two months', async () => {
    const store = new FakeStore([]);
    await runToEnd(
      logOf([
        {
          partition: 0,
          gap: 1,
          records: [0, 1, 2, 1, 0].map((month) => ({ kind: 'event' as const, month, lines: 0 })),
        },
      ]),
      store,
      1,
    );
    expect(store.blocks.map((b) => [b.month, b.rows]).sort()).toEqual([
      [202601, 2],
      [202602, 2],
      [202603, 1],
    ]);
  });

  it('waits for a slow store instead of collecting without end', async () => {
    let release = (): void => {};
    const store = new FakeStore([]);
    const insert = store.insert.bind(store);
    store.insert = async (block) => {
      await new Promise<void>((resolve) => (release = resolve));
      await insert(block);
    };
    const sink = await Sink.open({
      store,
      limits: { ...LIMITS, waitMs: 60_000, busyWaitMs: 60_000, offsetMs: 60_000 },
      now: () => performance.now(),
      refuse: async () => {},
      onError: () => {},
    });
    const log = logOf(
      Array.from({ length: 12 }, () => ({
        partition: 0,
        gap: 1,
        records: [{ kind: 'event' as const, month: 0, lines: 0 }],
      })),
    );
    let taken = 0;
    const feeding = (async () => {
      for (const frame of log) {
        await sink.accept([frame]);
        taken++;
      }
    })();
    await new Promise((r) => setTimeout(r, 30));
    // Five are being inserted, five more are collected; the last of those is not accepted before the store answers.
    expect(taken).toBe(9);
    const timer = setInterval(() => release(), 1);
    await feeding;
    await sink.drain();
    clearInterval(timer);
    expect(store.rows.get('events')).toBe(12);
  });

  it('a heap and a slow insert are no stream: afterwards rows wait no longer than before', async () => {
    let nowMs = 0;
    let release = (): void => {};
    const inserts: number[] = [];
    const store = new FakeStore([]);
    const insert = store.insert.bind(store);
    store.insert = async (block) => {
      inserts.push(nowMs);
      if (inserts.length === 1) await new Promise<void>((resolve) => (release = resolve));
      await insert(block);
    };
    const sink = await shopSink(store, () => nowMs);
    const row = { kind: 'event' as const, month: 0, lines: 0 };
    const frame = (records: number) => ({ partition: 0, gap: 1, records: Array.from({ length: records }, () => row) });
    const [heap, ...stream] = logOf([frame(1_000), ...Array.from({ length: 40 }, () => frame(34))]);
    await sink.accept([heap as FrameMessage], { firstMs: 1_000, lastMs: 0 });
    for (const one of stream) {
      nowMs += 100;
      if (nowMs === 1_600) release();
      await new Promise((resolve) => setImmediate(resolve));
      await sink.accept([one]);
    }
    expect(inserts.slice(0, 4)).toEqual([0, 1_600, 2_700, 3_800]);
    await sink.drain();
    expect(store.rows.get('events')).toBe(1_000 + 40 * 34);
  });

  it('a sink that comes back reads what lies in the log first, and makes one insert of it at once', async () => {
    let nowMs = 0;
    const inserts: [number, number][] = [];
    const store = new FakeStore([]);
    const insert = store.insert.bind(store);
    store.insert = async (block) => {
      inserts.push([nowMs, block.rows]);
      await insert(block);
    };
    const sink = await shopSink(store, () => nowMs);
    const records = [{ kind: 'event' as const, month: 0, lines: 0 }];
    const log = logOf(Array.from({ length: 30 }, () => ({ partition: 0, gap: 1, records })));
    const ages = [5_000, 3_000, 1_200, 20, 20, 20];
    for (const [i, lastMs] of ages.entries()) {
      await sink.accept(log.slice(i * 4, i * 4 + 4), { firstMs: lastMs + 1_000, lastMs });
      nowMs += 50;
    }
    expect(inserts).toEqual([[150, 16]]);
    await sink.drain();
    expect(store.rows.get('events')).toBe(24);
  });

  it('what came while the store was away goes into the same inserts, but for those that had failed', async () => {
    let away = true;
    const inserts: [string, number][] = [];
    const store = new FakeStore([]);
    const insert = store.insert.bind(store);
    store.insert = async (block) => {
      if (away) throw new Error('away');
      inserts.push([block.table, block.rows]);
      await insert(block);
    };
    const sink = await shopSink(store, () => 0);
    const event = { kind: 'event' as const, month: 0, lines: 2 };
    const delivery = { kind: 'delivery' as const, month: 0, lines: 0 };
    const frame = { partition: 0, gap: 1, records: [event, delivery] };
    const [first, second] = logOf([frame, frame]) as [FrameMessage, FrameMessage];
    await sink.accept([first], { firstMs: 1_000, lastMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 10));
    await sink.accept([second]);
    away = false;
    await sink.drain();
    // Two were being tried: as they were, then the rows that came, with the table that was not tried.
    expect(inserts.sort()).toEqual([
      ['deliveries', 2],
      ['event_lines', 2],
      ['event_lines', 2],
      ['events', 1],
      ['events', 1],
    ]);
    expect(sink.throughSeq).toBe(2);
    expect(store.blocks.map(({ table, lastSeq }) => `${table} ${lastSeq.get(0)}`).sort()).toEqual([
      'deliveries 2',
      'event_lines 1',
      'event_lines 2',
      'events 1',
      'events 2',
    ]);
  });
});
