// What one event costs the journey stage: `node services/journey/bench/hot-path.ts`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Effects } from '#lib/stream/processor.ts';
import { compileJourneys } from '../src/core/compile.ts';
import { readJourney } from '../src/core/definition/read.ts';
import { moveJourney, newJourney } from '../src/core/definition/versions.ts';
import { JourneyProcessor } from '../src/processor.ts';

const library = join(import.meta.dirname, '../library');
const active = ['welcome', 'day14', 'winback90'].map((id) => {
  const { journey } = readJourney(readFileSync(join(library, `${id}.yaml`), 'utf8'));
  if (journey === undefined) throw new Error(`${id} cannot be read`);
  const started = moveJourney(newJourney(journey, 0), 'start', 0);
  if (typeof started === 'string') throw new Error(started);
  return { kind: 'journey', id, revision: 1, body: StoredJourney.encode(started).finish() };
});
const ctx = { now: 1e12, customerId: 'c1', partition: 0, definitions: compileJourneys(active) };
const nothing = () => {};
const out: Effects = {
  emit: nothing,
  setTimer: nothing,
  cancelTimer: nothing,
  setPending: nothing,
  handOver: nothing,
  clearPending: nothing,
  deadLetter: nothing,
};

function event(name: string): Uint8Array {
  return Event.encode(
    Event.fromPartial({
      messageId: '0190a0b0-1111-7222-8333-444455556666',
      type: EventType.EVENT_TYPE_TRACK,
      name,
      timeMs: 1e12,
      receivedAtMs: 1e12,
      source: 'web',
      propertiesJson: Buffer.from('{"product_id":"p1","category":"shoes","price":12.5,"position":3}'),
    }),
  ).finish();
}

const processor = new JourneyProcessor('Asia/Shanghai', () => undefined);
const COUNT = 2_000_000;
for (const [label, name, fresh] of [
  ['an event no journey waits for', 'Product Viewed', false],
  ['a goal event of a customer without a state', 'Order Completed', false],
  ['a sign-up: enrolled, split, message, wait', 'Signed Up', true],
] as const) {
  const body = event(name);
  const kind = RecordKind.RECORD_KIND_EVENT;
  const count = fresh ? COUNT / 20 : COUNT;
  for (let round = 0; round < 2; round++) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < count; i++) {
      ctx.customerId = fresh ? `c${i}` : 'c1';
      const input = { kind, body, bytes: body, from: 0, to: body.length, seq: i, index: 0 };
      if (processor.concerns(kind, input, ctx.definitions)) processor.process(undefined, input, ctx, out);
    }
    const ns = Number(process.hrtime.bigint() - begin) / count;
    if (round === 1) console.log(`${label}: ${(ns / 1000).toFixed(3)} µs`);
  }
}
