// Fourth process of the end-to-end bench's bare loop (tools/bench/bare): what the sink cannot do without. Reads the frames of
// a stream, and for every 50,000 events in them inserts the rows that 50,000 events cause into an embedded ClickHouse, table by
// table. The blocks are made before, of the first frames of all kinds in LOG, with the columns and the encoding of the sink; so
// there are the same rows, and no work on them.
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { decodeFrame } from '#lib/stream/frames.ts';
import { LogReader } from '#lib/stream/log-reader.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { type Block, BlockBuilder } from '../src/core/batch.ts';
import { StoredPositions } from '../src/core/stored.ts';
import { TABLES } from '../src/core/tables.ts';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';

/** Records inserted at once; the smaller ones when nothing more comes. */
const SIZES = [50_000, 5_000, 500];
const IDLE_MS = 100;

const nats = await connect({ servers: process.env.NATS_URL ?? '' });
const js = jetstream(nats);
const onError = (error: unknown) => console.error(error);
// Whoever starts it deletes the folder.
const engine = await ChdbEngine.open(process.env.DATA_DIR ?? '');
await migrate(engine, await readMigrations(join(import.meta.dirname, '../migrations')));

/** Blocks of about so many records, from the frames LOG begins with (over again when it has fewer). */
async function prepare(): Promise<{ records: number; blocks: Block[] }[]> {
  const jsm = await jetstreamManager(nats);
  const { state } = await jsm.streams.info(STREAMS.log.name);
  const available = state.messages;
  const reader = new LogReader({ js, stream: STREAMS.log.name, filters: ['log.>'] }, 1, onError);
  const frames: { partition: number; seq: number; data: Buffer; records: number }[] = [];
  let records = 0;
  while (records < (SIZES[0] as number) && frames.length < available) {
    await reader.wait();
    for (const { subject, seq, data } of reader.take(1)) {
      // Rows of every kind, counted by the events that caused them.
      const count = subject.endsWith('.event') ? decodeFrame(data).records.length : 0;
      records += count;
      frames.push({ partition: Number(subject.split('.')[1]), seq, data: Buffer.from(data), records: count });
    }
  }
  await reader.stop();
  return SIZES.map((size) => {
    const builder = new BlockBuilder(new StoredPositions());
    let taken = 0;
    for (let i = 0; taken < size; i++) {
      const frame = frames[i % frames.length];
      if (frame === undefined) throw new Error('there is nothing in LOG to make rows of');
      builder.add(frame);
      taken += frame.records;
    }
    return { records: taken, blocks: builder.take() };
  });
}

const prepared = await prepare();
const source = { js, stream: process.env.STREAM ?? '', filters: [process.env.FILTER ?? 'barelog.*'] };
const reader = new LogReader(source, 1, onError);
let waiting = 0;
let seen = 0;
let through = 0;

async function insert({ blocks }: { blocks: Block[] }): Promise<void> {
  for (const { table, data } of blocks) {
    const columns = (TABLES.get(table) ?? []).map((c) => c.name);
    await engine.insert(`recur.${table}`, columns, data);
  }
}

async function work(): Promise<void> {
  for (;;) {
    await Promise.race([reader.wait(), new Promise((resolve) => setTimeout(resolve, IDLE_MS))]);
    const messages = reader.take(256);
    for (const { data, seq } of messages) {
      waiting += decodeFrame(data).records.length;
      seen = seq;
    }
    const [whole] = prepared;
    while (whole !== undefined && waiting >= whole.records) {
      await insert(whole);
      waiting -= whole.records;
    }
    if (messages.length > 0 || through === seen) continue;
    for (const part of prepared) {
      while (waiting >= part.records || (part === prepared.at(-1) && waiting > 0)) {
        await insert(part);
        waiting = Math.max(0, waiting - part.records);
      }
    }
    through = seen;
  }
}

work().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
process.on('message', () => process.send?.({ through }));
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.send?.({});
