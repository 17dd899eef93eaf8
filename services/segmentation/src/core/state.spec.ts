import { expect, test } from 'vitest';
import { Memberships, State } from '#gen/recur/segmentation/v1/state.ts';
import { decodeFacts } from '#lib/facts/facts.ts';
import { BUCKETS } from '#lib/stream/layout.ts';
import { type Entry, storeEntry } from '#lib/stream/states.ts';
import fc from '#tools/testkit/fast-check.ts';
import { Members } from './members.ts';
import { type CustomerState, newState, stateCodec } from './state.ts';

const name = fc.oneof(fc.string({ maxLength: 64 }), fc.string({ unit: 'grapheme', maxLength: 64 }));
const ms = fc.maxSafeNat();
const states = fc.record({
  members: fc.uniqueArray(fc.tuple(name, ms), { maxLength: 200, selector: ([id]) => id }),
  left: fc.nat(),
  searches: fc.array(fc.record({ query: name, lastMs: ms }), { maxLength: 32 }),
  told: fc.dictionary(name, name, { maxKeys: 5 }),
  bought: fc.array(fc.tuple(fc.constantFrom('tea', '防晒'), fc.nat({ max: 30_000 })), { maxLength: 10 }),
  rfmClass: name,
  lifecycleStage: name,
  sinceMs: ms,
  nextMs: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
});

test('what is written by hand is what the generated code reads, and comes back', () => {
  fc.assert(
    fc.property(states, ({ members, left, searches, told, bought, rfmClass, lifecycleStage, sinceMs, nextMs }) => {
      const state = newState();
      for (const [id, atMs] of members) state.members.enter(id, atMs);
      if (members.length > 0) state.members.leave((members[left % members.length] as [string, number])[0]);
      const kept = members.filter((_, i) => i !== left % members.length);
      for (const [key, json] of Object.entries(told)) state.told.set(key, json);
      for (const [category, day] of bought) state.purchases.add(category, day);
      state.searches.push(...searches);
      Object.assign(state, {
        rfmClass,
        lifecycleStage,
        rfmSinceMs: sinceMs,
        lifecycleSinceMs: 1,
        evaluatedMs: sinceMs,
      });
      state.nextMs = nextMs;

      const bytes = stateCodec.encode(state);
      const { facts, memberships, told: saidBytes, purchases, ...rest } = State.decode(bytes);
      expect(decodeFacts(facts)).toEqual(state.facts);
      expect(Memberships.decode(memberships)).toEqual({
        segmentIds: kept.map(([id]) => id),
        enteredMs: kept.map(([, atMs]) => atMs),
      });
      expect(Buffer.from(saidBytes).equals(state.told.encode())).toBe(true);
      expect(Buffer.from(purchases).equals(state.purchases.encode())).toBe(true);
      expect(rest).toEqual({
        ...{ searches, rfmClass, lifecycleStage, rfmSinceMs: sinceMs, lifecycleSinceMs: 1, evaluatedMs: sinceMs },
        nextMs: nextMs === Number.POSITIVE_INFINITY ? 0 : nextMs,
      });

      const back = stateCodec.decode(bytes);
      expect([...back.members.entries()]).toEqual(kept);
      expect(new Map(back.purchases.categories())).toEqual(new Map(state.purchases.categories()));
      expect(Buffer.from(stateCodec.encode(back)).equals(bytes)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('whatever comes and goes between two commits, what is stored is the state, and memberships that stay are not sent', () => {
  const move = fc.record({ id: fc.nat(60), enter: fc.boolean(), atMs: ms });
  const commits = fc.array(fc.array(move, { maxLength: 8 }), { minLength: 2, maxLength: 12 });
  let kept = 0;
  fc.assert(
    fc.property(fc.nat(60), commits, (before, all) => {
      const state = newState();
      for (let i = 0; i < before; i++) state.members.enter(`a-segment-${i}`, i);
      const entry: Entry<CustomerState> = { state, mergedInto: undefined, dirty: true, fresh: true };
      let stored: Uint8Array = Buffer.alloc(0);
      for (const [n, moves] of all.entries()) {
        for (const { id, enter, atMs } of moves) {
          if (enter) state.members.enter(`a-segment-${id}`, atMs);
          else state.members.leave(`a-segment-${id}`);
        }
        state.evaluatedMs = n;
        const write = storeEntry(entry, stateCodec, BUCKETS);
        kept += write.kept;
        stored = Buffer.concat([write.bytes, stored.subarray(stored.length - write.kept)]);
        const back = stateCodec.decode(stored);
        expect([...back.members.entries()]).toEqual([...state.members.entries()]);
        const anew = new Members();
        for (const [segmentId, enteredMs] of state.members.entries()) anew.enter(segmentId, enteredMs);
        expect(Buffer.from(anew.encode()).equals(state.members.encode())).toBe(true);
        expect(Buffer.from(stateCodec.encode(back)).equals(stateCodec.encode(state))).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
  expect(kept).toBeGreaterThan(0);
});
