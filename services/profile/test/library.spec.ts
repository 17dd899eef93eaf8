import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { TagChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { DAY_MS } from '#lib/facts/zone.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import { checkComputedTrait } from '../src/core/computed/check.ts';
import { type InForce, KINDS, readyRevision } from '../src/core/plan.ts';
import type { ProfileState } from '../src/core/state.ts';
import { checkTag } from '../src/core/tags/check.ts';
import { profileStage } from '../src/stage.ts';

const LIBRARY = join(import.meta.dirname, '../library');

/** snake_case keys as generated code reads them. */
function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()), camel(v)]),
  );
}
const files = (folder: string): [string, unknown][] =>
  readdirSync(join(LIBRARY, folder)).map((name) => [
    name.replace('.yaml', ''),
    camel(parse(readFileSync(join(LIBRARY, folder, name), 'utf8'))),
  ]);
const traits = files('computed_traits').map(([name, json]) => ({ name, trait: ComputedTrait.fromJSON(json) }));
const tags = files('tags').map(([name, json]) => ({ name, tag: Tag.fromJSON(json) }));

const NOON = Date.UTC(2026, 4, 10, 4); // noon in Shanghai

class Shop {
  readonly harness = new ProcessorHarness<ProfileState, InForce>(profileStage('Asia/Shanghai'));
  readonly told: string[] = [];

  constructor() {
    let revision = 1;
    const define = (kind: string, id: string, body: Uint8Array, at = ++revision) =>
      this.harness.define({ kind, id, revision: at, deleted: false, body }, NOON);
    for (const { trait } of traits) {
      define(KINDS.computedTrait, trait.id, ComputedTrait.encode(trait).finish());
      define(KINDS.backfill, trait.id, new Uint8Array(), readyRevision(revision));
    }
    for (const { tag } of tags) define(KINDS.tag, tag.id, Tag.encode(tag).finish());
  }

  send(event: object, atMs: number): void {
    const body = Event.encode(Event.fromPartial({ timeMs: atMs, ...event } as never)).finish();
    this.#hear(this.harness.input('mia', RecordKind.RECORD_KIND_EVENT, body, atMs));
  }

  order(orderId: string, total: number, atMs: number, rest: object = {}): void {
    const lines = [{ productId: 'p', category: 'sunscreen', quantity: 1, priceMicros: total * 1e6 }];
    const commerce = { orderId, amountMicros: total * 1e6, currency: 'CNY', lines, ...rest };
    this.send({ type: EventType.EVENT_TYPE_TRACK, name: 'Order Completed', commerce }, atMs);
  }

  advance(toMs: number): void {
    this.#hear(this.harness.advance(toMs));
  }

  get tags(): Record<string, unknown> {
    const carried = this.harness.state('mia')?.computed?.tags ?? [];
    return Object.fromEntries(carried.map(({ tagId, value }) => [tagId, value === '' ? true : JSON.parse(value)]));
  }

  #hear(outputs: HarnessOutput[]): void {
    for (const { kind, body, time } of outputs) {
      if (kind !== RecordKind.RECORD_KIND_TAG) continue;
      const { tagId, carried, toJson } = TagChange.decode(body);
      this.told.push(`${(time - NOON) / DAY_MS} ${carried ? '+' : '-'}${tagId} ${toJson}`.trim());
    }
  }
}

describe('the library', () => {
  it.each(traits)('computed trait $name is valid, in English and Chinese', ({ name, trait }) => {
    expect(trait.id).toBe(name);
    expect(checkComputedTrait(trait)).toEqual([]);
    expect(trait.englishName).not.toBe('');
    expect(trait.chineseName).toMatch(/\p{Script=Han}/u);
  });

  it.each(tags)('tag $name is valid, in English and Chinese', ({ name, tag }) => {
    expect(tag.id).toBe(name);
    expect(checkTag(tag, new Set(traits.map(({ trait }) => trait.id)))).toEqual([]);
    expect(tag.chineseName).toMatch(/\p{Script=Han}/u);
    for (const level of tag.levels.filter(({ value }) => value?.$case === 'text')) {
      expect(level.chineseName).toMatch(/\p{Script=Han}/u);
    }
  });

  it('has tags of all four families', () => {
    expect(new Set(tags.map(({ tag }) => tag.family)).size).toBe(4);
  });
});

describe('the tags of a customer', () => {
  it('follow every event, refunds included', () => {
    const shop = new Shop();
    shop.order('o1', 1_500, NOON, { coupon: 'MAY' });
    expect(shop.tags).toEqual({
      recently_active: true,
      spending_level: 'premium',
      prefers_category: 'sunscreen',
      interaction_frequency: 'low',
    });
    shop.order('o2', 900, NOON + 1_000);
    expect(shop.tags).toMatchObject({ high_value: true, promotion_sensitivity: 'medium' });
    const commerce = { orderId: 'o2', currency: 'CNY' };
    shop.send({ type: EventType.EVENT_TYPE_TRACK, name: 'Order Cancelled', commerce }, NOON + 2_000);
    expect(shop.tags).toMatchObject({ spending_level: 'premium', interaction_frequency: 'low' });
    expect(shop.tags).not.toHaveProperty('high_value');
    expect(shop.tags).not.toHaveProperty('promotion_sensitivity');
    for (let i = 0; i < 5; i++) {
      shop.send({ type: EventType.EVENT_TYPE_TRACK, name: 'Product Viewed' }, NOON + 3_000 + i);
    }
    expect(shop.tags).toMatchObject({ active_hour: 12, interaction_frequency: 'medium' });
  });

  it('change by time alone, at their moment', () => {
    const shop = new Shop();
    shop.order('o1', 100, NOON);
    shop.told.length = 0;
    shop.advance(NOON + 400 * DAY_MS);
    const midnight = 30 - 0.5;
    expect(shop.told).toEqual([
      `${7 + 1 / DAY_MS} -recently_active`,
      `${midnight} -interaction_frequency`,
      '60 +dormant',
    ]);
  });

  it('see a child grow', () => {
    const shop = new Shop();
    const traitsOf = (json: string) => [{ name: 'child_birthday', json: Buffer.from(json) }];
    shop.send({ type: EventType.EVENT_TYPE_IDENTIFY, traits: traitsOf('"2025-06-11"') }, NOON);
    expect(shop.tags.child_stage).toBe('infant');
    shop.told.length = 0;
    shop.advance(NOON + 900 * DAY_MS);
    expect(shop.told.filter((line) => line.includes('child_stage'))).toEqual([
      // 2026-06-11 and 2028-06-11, 0:00 in Shanghai; it is noon of 2026-05-10 now.
      '31.5 +child_stage "toddler"',
      '762.5 +child_stage "preschool"',
    ]);
  });
});
