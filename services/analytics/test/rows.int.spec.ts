import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Delivery, IdentityChange, LinkRefused, Merged, ProfileChange } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import { TABLES } from '../src/core/tables.ts';
import { record, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine();
});
afterAll(() => temp.drop());

const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const micros = fc.integer({ min: -9_000_000_000_000_000, max: 9_000_000_000_000_000 });
const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
const json = fc.string({ maxLength: 400 }).map((s) => Buffer.from(s));
const events = fc.record({
  messageId: text,
  type: fc.integer({ min: 0, max: 6 }) as fc.Arbitrary<0 | 1 | 2 | 3 | 4 | 5 | 6>,
  name: text,
  timeMs: time,
  receivedAtMs: time,
  source: text,
  identifiers: fc.array(fc.record({ type: text, hash: fc.constant(Buffer.alloc(16)) }), { maxLength: 3 }),
  traits: fc.array(fc.record({ name: text, json, sealed: json }), { maxLength: 3 }),
  commerce: fc.option(
    fc.record({
      orderId: text,
      amountMicros: micros,
      currency: text,
      part: fc.nat(0xffffffff),
      coupon: text,
      lines: fc.array(
        fc.record({
          productId: text,
          name: text,
          category: text,
          quantity: fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }),
          priceMicros: micros,
        }),
        { maxLength: 3 },
      ),
    }),
    { nil: undefined },
  ),
  propertiesJson: json,
  contextJson: json,
});
const TYPES = ['', 'identify', 'track', 'page', 'screen', 'group', 'alias'];
/** JSON cannot carry a lone half of a pair or an invalid byte: compare as ClickHouse would show it. */
const utf8 = (b: Uint8Array) => Buffer.from(b).toString();

describe('rows in ClickHouse', () => {
  it('are what the generated decoder says of the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(events, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 2 ** 50 }),
        async (list, seq) => {
          await temp.engine.command('TRUNCATE TABLE recur.events');
          await temp.engine.command('TRUNCATE TABLE recur.event_lines');
          const bodies = list.map((e) => Event.encode(Event.fromPartial(e)).finish());
          const log = new SampleLog(seq).add(
            7,
            bodies.map((b, i) => record(`客${i}`, RecordKind.RECORD_KIND_EVENT, 1_700_000_000_000 + i, b)),
          );
          const { refused } = await temp.store(log);
          expect(refused).toEqual([]);
          const rows = await temp.engine.rows<object>(
            `SELECT partition, toString(seq) AS seq, customer_id, toUnixTimestamp64Milli(log_time) AS log_ms, message_id, type, name, source,
             toUnixTimestamp64Milli(time) AS time_ms, toUnixTimestamp64Milli(received_at) AS received_ms, order_id, part,
             toString(reinterpretAsInt64(amount)) AS micros, currency, coupon, identifier_types, mapKeys(traits) AS trait_names, mapValues(traits) AS trait_values,
             properties, context
           FROM recur.events ORDER BY idx`,
          );
          const expected = bodies.map((b, i) => {
            const e = Event.decode(b);
            return {
              partition: 7,
              seq: String(seq),
              customer_id: `客${i}`,
              log_ms: 1_700_000_000_000 + i,
              message_id: e.messageId,
              type: TYPES[e.type],
              name: e.name,
              source: e.source,
              time_ms: e.timeMs,
              received_ms: e.receivedAtMs,
              order_id: e.commerce?.orderId ?? '',
              part: e.commerce?.part ?? 0,
              micros: String(e.commerce?.amountMicros ?? 0),
              currency: e.commerce?.currency ?? '',
              coupon: e.commerce?.coupon ?? '',
              identifier_types: e.identifiers.map((x) => x.type),
              trait_names: e.traits.map((x) => x.name),
              trait_values: e.traits.map((x) => utf8(x.json)),
              properties: utf8(e.propertiesJson),
              context: utf8(e.contextJson),
            };
          });
          expect(rows).toEqual(expected);
          const lines = await temp.engine.rows<object>(
            `SELECT idx, line, message_id, product_id, product_name, category, toString(quantity) AS quantity, toString(reinterpretAsInt64(price)) AS micros
           FROM recur.event_lines ORDER BY idx, line`,
          );
          expect(lines).toEqual(
            bodies.flatMap((b, idx) => {
              const e = Event.decode(b);
              return (e.commerce?.lines ?? []).map((l, line) => ({
                idx,
                line,
                message_id: e.messageId,
                product_id: l.productId,
                product_name: l.name,
                category: l.category,
                quantity: String(l.quantity),
                micros: String(l.priceMicros),
              }));
            }),
          );
        },
      ),
      { numRuns: 25 },
    );
  });

  it('other kinds go to their tables', async () => {
    const log = new SampleLog().add(3, [
      record(
        'b',
        RecordKind.RECORD_KIND_MERGED,
        5_000,
        Merged.encode(
          Merged.fromPartial({ into: 'a', messageId: 'm1', identifierType: 'email', identified: true }),
        ).finish(),
      ),
      record(
        'a',
        RecordKind.RECORD_KIND_PROFILE,
        6_000,
        ProfileChange.encode(
          ProfileChange.fromPartial({
            changedTraits: ['city', 'age'],
            orders: 2,
            grossMicros: 15_300_000,
            identified: true,
            firstSeenMs: 1_000,
          }),
        ).finish(),
      ),
      record(
        'a',
        RecordKind.RECORD_KIND_DELIVERY,
        7_000,
        Delivery.encode(
          Delivery.fromPartial({ idempotencyKey: 'k', status: 2, channel: 'email', attempts: 1 }),
        ).finish(),
      ),
      record(
        'a',
        RecordKind.RECORD_KIND_IDENTITY,
        8_000,
        IdentityChange.encode(
          IdentityChange.fromPartial({
            created: true,
            linked: [
              { type: 'email', hash: Buffer.alloc(16, 1) },
              { type: 'phone', hash: Buffer.alloc(16, 2) },
            ],
            messageId: 'm2',
          }),
        ).finish(),
      ),
      record(
        'c',
        RecordKind.RECORD_KIND_REFUSED,
        9_000,
        LinkRefused.encode(
          LinkRefused.fromPartial({ identifier: { type: 'device_id', hash: Buffer.alloc(16, 3) }, rule: 'limit' }),
        ).finish(),
      ),
      record('', RecordKind.RECORD_KIND_HANDOVER, 7_000, new Uint8Array(0)),
    ]);
    const { blocks } = await temp.store(log);
    expect(blocks.map((b) => [b.table, b.rows])).toEqual([
      ['identity_changes', 3],
      ['profile_changes', 1],
      ['deliveries', 1],
    ]);
    expect(
      await temp.engine.rows(
        "SELECT customer_id, change, into_customer_id, identifier_types, identified, created, message_id, toString(log_time) AS t FROM recur.identity_changes WHERE change = 'merged'",
      ),
    ).toEqual([
      {
        customer_id: 'b',
        change: 'merged',
        into_customer_id: 'a',
        identifier_types: ['email'],
        identified: 1,
        created: 0,
        message_id: 'm1',
        t: '1970-01-01 00:00:05.000',
      },
    ]);
    // Types and hashes are two lists of the same identifiers.
    expect(
      await temp.engine.rows(
        "SELECT change, identifier_types AS types, arrayMap(h -> hex(h), identifier_hashes) AS hashes FROM recur.identity_changes WHERE change != 'merged' ORDER BY idx",
      ),
    ).toEqual([
      { change: 'linked', types: ['email', 'phone'], hashes: ['01'.repeat(16), '02'.repeat(16)] },
      { change: 'refused', types: ['device_id'], hashes: ['03'.repeat(16)] },
    ]);
    expect(
      await temp.engine.rows(
        'SELECT changed_traits, orders, gross, identified, toUnixTimestamp64Milli(first_seen) AS f FROM recur.profile_changes',
      ),
    ).toEqual([{ changed_traits: ['city', 'age'], orders: 2, gross: 15.3, identified: 1, f: 1000 }]);
    expect(await temp.engine.rows('SELECT idempotency_key, status, channel, attempts FROM recur.deliveries')).toEqual([
      { idempotency_key: 'k', status: 'sent', channel: 'email', attempts: 1 },
    ]);
  });

  it('columns the sink fills are those of the tables', async () => {
    for (const [table, specs] of TABLES) {
      const columns = await temp.engine.rows<{ name: string }>(
        `SELECT name FROM system.columns WHERE database = 'recur' AND table = '${table}' ORDER BY position`,
      );
      expect(
        columns.map((c) => c.name),
        table,
      ).toEqual(specs.map((s) => s.name));
    }
  });

  it('keep a broken record out, whole, with the reason', async () => {
    const good = record(
      'a',
      RecordKind.RECORD_KIND_DELIVERY,
      7_000,
      Delivery.encode(Delivery.fromPartial({ idempotencyKey: 'k2' })).finish(),
    );
    const log = new SampleLog().add(3, [
      record('a', RecordKind.RECORD_KIND_DELIVERY, 7_000, Buffer.from([0x0a, 0x7f, 0x41])),
      good,
    ]);
    const { blocks, refused } = await temp.store(log);
    expect(blocks.map((b) => b.rows)).toEqual([1]);
    expect(refused).toMatchObject([
      { partition: 3, seq: 1, index: 0, reason: expect.stringContaining('reaches over the end') },
    ]);
  });
});
