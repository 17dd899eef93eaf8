// Rows per second of the sink's whole way (frames → rows → blocks → ClickHouse) against raw inserts of the same blocks.
// node services/analytics/bench/sink.bench.ts [events]; the last line is the result as JSON, for tools/bench.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Commerce } from '#gen/recur/log/v1/event.ts';
import { type Block, BlockBuilder, type FrameMessage } from '../src/core/batch.ts';
import { StoredPositions } from '../src/core/stored.ts';
import { TABLES } from '../src/core/tables.ts';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { SINK_LIMITS, Sink } from '../src/processor.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { ClickHouseSinkStore } from '../src/store/sink-store.ts';
import { event, SampleLog } from '../test/sample-log.ts';

const EVENTS = Number(process.argv[2] ?? 500_000);
const PER_FRAME = 100;
const START = Date.UTC(2026, 0, 5);

function makeLog(): FrameMessage[] {
  const log = new SampleLog();
  for (let n = 0; n < EVENTS; n += PER_FRAME) {
    const records = Array.from({ length: PER_FRAME }, (_, i) => {
      const k = n + i;
      const timeMs = START + k * 3;
      const isOrder = k % 20 === 0;
      return event(`01HQ${((k * 7919) % 50_000).toString(36).toUpperCase().padStart(8, '0')}ABCDEFGHJKMN`, {
        name: isOrder ? 'Order Completed' : k % 3 === 0 ? 'Product Added' : 'Product Viewed',
        timeMs,
        messageId: `018d-${k.toString(16).padStart(12, '0')}-msg`,
        propertiesJson: Buffer.from(
          `{"url":"https://shop.example/p/${k % 2_000}","position":${k % 40},"list":"search results"}`,
        ),
        contextJson: Buffer.from(
          '{"campaign":{"name":"spring","source":"mail"},"locale":"zh-CN","device":{"type":"phone"}}',
        ),
        ...(isOrder
          ? {
              commerce: Commerce.fromPartial({
                orderId: `o-${k}`,
                amountMicros: 12_500_000 + k,
                currency: 'CNY',
                lines: [
                  { productId: `p-${k % 2_000}`, name: 'Tea', category: 'tea', quantity: 1, priceMicros: 12_500_000 },
                ],
              }),
            }
          : {}),
      });
    });
    log.add((n / PER_FRAME) % 16, records);
  }
  return log.frames;
}

interface Taken {
  readonly ms: number;
  readonly cpuUs: number;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const dataDir = mkdtempSync(join(tmpdir(), 'recur-bench-'));
const engine = await ChdbEngine.open(dataDir);
try {
  await migrate(engine, await readMigrations(join(import.meta.dirname, '../migrations')));
  const frames = makeLog();
  const bytes = frames.reduce((sum, f) => sum + f.data.length, 0);
  console.log(`${EVENTS} events in ${frames.length} frames, ${(bytes / EVENTS).toFixed(0)} bytes each`);

  const builder = new BlockBuilder(new StoredPositions());
  const blocks: Block[] = [];
  let rows = 0;
  let building = 0;
  for (let round = 0; round < 2; round++) {
    blocks.length = 0;
    rows = 0;
    const started = performance.now();
    for (const frame of frames) {
      builder.add(frame);
      if (builder.rows >= SINK_LIMITS.rows) {
        rows += builder.rows;
        blocks.push(...builder.take());
      }
    }
    rows += builder.rows;
    blocks.push(...builder.take());
    building = performance.now() - started;
  }
  console.log(`frames → blocks: ${((building * 1000) / rows).toFixed(3)} µs a row`);

  const truncate = async () => {
    for (const table of ['events', 'event_lines', 'sink_offsets'])
      await engine.command(`TRUNCATE TABLE recur.${table}`);
  };
  /** Milliseconds and CPU of all threads, µs: the engine works on threads of its own. */
  const timed = async (work: () => Promise<void>) => {
    await truncate();
    const cpu = process.cpuUsage();
    const started = performance.now();
    await work();
    const ms = performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    const [stored] = await engine.rows<{ n: number }>('SELECT toUInt32(count()) AS n FROM recur.events');
    if (stored?.n !== EVENTS) throw new Error(`${EVENTS} events went in, the table has ${stored?.n}`);
    return { ms, cpuUs: user + system };
  };
  const raw = async () => {
    for (const b of blocks)
      await engine.insert(
        `recur.${b.table}`,
        (TABLES.get(b.table) ?? []).map((c) => c.name),
        b.data,
      );
  };
  const sinking = async () => {
    const sink = await Sink.open({
      store: new ClickHouseSinkStore(engine, 'LOG@bench'),
      limits: SINK_LIMITS,
      now: () => performance.now(),
      refuse: async () => {},
      onError: (e) => console.error(e),
    });
    for (let i = 0; i < frames.length; i += 256) await sink.accept(frames.slice(i, i + 256));
    await sink.drain();
  };
  await timed(raw);
  await timed(sinking);
  const rounds: { raw: Taken; sink: Taken }[] = [];
  for (let round = 0; round < 5; round++) rounds.push({ raw: await timed(raw), sink: await timed(sinking) });
  const perSecond = (ms: number) => (rows * 1_000) / ms;
  const result = {
    rows,
    sink_rows_per_second: perSecond(median(rounds.map(({ sink }) => sink.ms))),
    raw_rows_per_second: perSecond(median(rounds.map((round) => round.raw.ms))),
    // Turns that follow each other met the same noise of the machine.
    ratio: median(rounds.map((round) => round.raw.ms / round.sink.ms)),
    sink_cpu_us_per_row: median(rounds.map(({ sink }) => sink.cpuUs)) / rows,
    raw_cpu_us_per_row: median(rounds.map((round) => round.raw.cpuUs)) / rows,
    building_us_per_row: (building * 1_000) / rows,
  };
  console.log(JSON.stringify(result));
} finally {
  await engine.close();
  rmSync(dataDir, { recursive: true, force: true });
}
