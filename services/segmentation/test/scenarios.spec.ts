import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  ClassChange,
  ComputedTraitChange,
  IdentityChange,
  SegmentChange,
  TagChange,
} from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { HoldOutSettings, LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import { checkSegment } from '../src/core/check.ts';
import { segmentFromJson } from '../src/core/json.ts';
import { checkReferences } from '../src/core/references.ts';
import { segmentationStage } from '../src/stage.ts';
import { SCENARIOS, type StoryStep } from './scenarios.ts';

let revision = 0;

test.each(SCENARIOS)('$name', ({ zone = 'UTC', segments = {}, steps }) => {
  const harness = new ProcessorHarness(segmentationStage(new ShopZone(zone)));
  for (const [id, rule] of Object.entries(segments)) {
    const segment = Segment.fromPartial({ id, rule });
    expect(checkSegment(segment)).toEqual([]);
    harness.define(
      { kind: 'segment', id, revision: ++revision, deleted: false, body: Segment.encode(segment).finish() },
      0,
    );
  }
  for (const step of steps) {
    const at = Date.parse(step.at);
    const passed = harness.advance(at);
    const told = apply(harness, step, at);
    if (isWait(step))
      expect(passed.map((one) => `${new Date(one.time).toISOString()} ${say(one)}`).sort()).toEqual(
        [...step.expect].sort(),
      );
    else {
      expect(passed.filter(notFirst).map(say)).toEqual([]);
      // Everybody starts as a prospect, and the first order gives a class: told once, not in every story.
      if (step.expect !== undefined) expect(told.filter(notFirst).map(say).sort()).toEqual([...step.expect].sort());
    }
  }
  expect(harness.deadLetters).toEqual([]);
});

function apply(harness: ReturnType<typeof anyHarness>, step: StoryStep, at: number): HarnessOutput[] {
  if ('event' in step) return harness.input(step.of ?? 'c', RecordKind.RECORD_KIND_EVENT, eventOf(step.event, at), at);
  if ('identified' in step) {
    const body = IdentityChange.encode(IdentityChange.fromPartial({ identified: true })).finish();
    return harness.input(step.identified, RecordKind.RECORD_KIND_IDENTITY, body, at);
  }
  if ('computed' in step) {
    const toJson = step.value === undefined ? '' : JSON.stringify(step.value);
    const change = ComputedTraitChange.fromPartial({ traitId: step.computed, toJson });
    return harness.input('c', RecordKind.RECORD_KIND_COMPUTED_TRAIT, ComputedTraitChange.encode(change).finish(), at);
  }
  if ('tag' in step) {
    const { tag: tagId, value } = step;
    const toJson = value === undefined || value === null ? '' : JSON.stringify(value);
    const change = TagChange.fromPartial({ tagId, carried: value !== undefined, toJson });
    return harness.input('c', RecordKind.RECORD_KIND_TAG, TagChange.encode(change).finish(), at);
  }
  if ('merge' in step) return harness.merge(step.merge, step.into, at);
  if ('define' in step) {
    const body =
      step.rule === undefined
        ? new Uint8Array()
        : Segment.encode(Segment.fromPartial({ id: step.define, rule: step.rule })).finish();
    return harness.define(
      { kind: 'segment', id: step.define, revision: ++revision, deleted: step.rule === undefined, body },
      at,
    );
  }
  if ('rfm' in step) {
    const body = RfmSettings.encode(RfmSettings.fromPartial(step.rfm)).finish();
    return harness.define({ kind: 'rfm', id: 'default', revision: ++revision, deleted: false, body }, at);
  }
  if ('holdOut' in step) {
    const body = HoldOutSettings.encode(HoldOutSettings.fromPartial(step.holdOut)).finish();
    return harness.define({ kind: 'hold_out', id: 'default', revision: ++revision, deleted: false, body }, at);
  }
  if ('lifecycle' in step) {
    const body = LifecycleSettings.encode(LifecycleSettings.fromPartial(step.lifecycle)).finish();
    return harness.define({ kind: 'lifecycle', id: 'default', revision: ++revision, deleted: false, body }, at);
  }
  return [];
}

const anyHarness = () => new ProcessorHarness(segmentationStage(new ShopZone('UTC')));

function isWait(step: StoryStep): step is Extract<StoryStep, { expect: readonly string[] }> {
  return Object.keys(step).every((key) => key === 'at' || key === 'expect');
}

interface StoryEvent {
  type?: 'page' | 'identify';
  name?: string;
  source?: string;
  timeMs?: string;
  traits?: Record<string, unknown>;
  propertiesJson?: string;
  commerce?: object;
}

function eventOf(given: string | object, at: number): Uint8Array {
  const {
    type,
    traits = {},
    timeMs,
    propertiesJson = '',
    ...rest
  }: StoryEvent = typeof given === 'string' ? { name: given } : given;
  const types = { page: EventType.EVENT_TYPE_PAGE, identify: EventType.EVENT_TYPE_IDENTIFY };
  const event = Event.fromPartial({
    ...rest,
    type: type === undefined ? EventType.EVENT_TYPE_TRACK : types[type],
    timeMs: timeMs === undefined ? at : Date.parse(timeMs),
    traits: Object.entries(traits).map(([name, value]) => ({ name, json: Buffer.from(JSON.stringify(value)) })),
    propertiesJson: Buffer.from(propertiesJson),
  });
  return Event.encode(event).finish();
}

function say({ customerId, kind, body }: HarnessOutput): string {
  const who = customerId === 'c' ? '' : `${customerId} `;
  if (kind === RecordKind.RECORD_KIND_SEGMENT) {
    const { segmentId, entered } = SegmentChange.decode(body);
    return `${who}${entered ? '+' : '-'} ${segmentId}`;
  }
  const { dimension, from, to, reason } = ClassChange.decode(body);
  expect(reason).not.toBe('');
  return `${who}${dimension === 'lifecycle' ? 'stage' : dimension} ${from || '-'} ${to || '-'}`;
}

const notFirst = ({ kind, body }: HarnessOutput): boolean =>
  kind !== RecordKind.RECORD_KIND_CLASS || ClassChange.decode(body).from !== '';

test('the examples are valid, and refer to each other only', () => {
  const folder = join(import.meta.dirname, '../examples');
  const read = readdirSync(folder).map((file) => {
    const result = segmentFromJson(JSON.parse(readFileSync(join(folder, file), 'utf8')));
    if ('violations' in result) throw new Error(`${file}: ${JSON.stringify(result.violations)}`);
    expect(`${result.segment.id}.json`).toBe(file);
    return result.segment;
  });
  const rules = new Map(read.flatMap(({ id, rule }) => (rule === undefined ? [] : [[id, rule] as const])));
  for (const [id, rule] of rules) expect(checkReferences(id, rule, rules)).toEqual([]);
  expect(rules.size).toBeGreaterThan(5);
});

test('a customer with more than is kept is evaluated anew when something is dropped', () => {
  const harness = anyHarness();
  const segment = Segment.fromPartial({ id: 'first', rule: { event: { name: 'event 0' } } });
  harness.define(
    { kind: 'segment', id: 'first', revision: ++revision, deleted: false, body: Segment.encode(segment).finish() },
    0,
  );
  const told: string[] = [];
  for (let i = 0; i <= 200; i++) {
    const at = Date.UTC(2026, 0, 1) + i;
    told.push(
      ...harness
        .input('c', RecordKind.RECORD_KIND_EVENT, eventOf(`event ${i}`, at), at)
        .filter(notFirst)
        .map(say),
    );
  }
  expect(told).toEqual(['+ first', '- first']);
});
