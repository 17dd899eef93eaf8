import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as changes from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame } from '../frames.ts';
import { previousVersion } from '../previous-version.ts';

const BODIES: Partial<Record<RecordKind, { decode(bytes: Uint8Array): unknown }>> = {
  [RecordKind.RECORD_KIND_EVENT]: Event,
  [RecordKind.RECORD_KIND_IDENTITY]: changes.IdentityChange,
  [RecordKind.RECORD_KIND_MERGED]: changes.Merged,
  [RecordKind.RECORD_KIND_HANDOVER]: changes.Handover,
  [RecordKind.RECORD_KIND_DEFINITION]: changes.Definition,
  [RecordKind.RECORD_KIND_REFUSED]: changes.LinkRefused,
  [RecordKind.RECORD_KIND_PROFILE]: changes.ProfileChange,
  [RecordKind.RECORD_KIND_COMPUTED_TRAIT]: changes.ComputedTraitChange,
  [RecordKind.RECORD_KIND_TAG]: changes.TagChange,
  [RecordKind.RECORD_KIND_BACKFILL]: changes.Backfill,
  [RecordKind.RECORD_KIND_SEGMENT]: changes.SegmentChange,
  [RecordKind.RECORD_KIND_CLASS]: changes.ClassChange,
  [RecordKind.RECORD_KIND_STEP]: changes.Step,
  [RecordKind.RECORD_KIND_EXPOSURE]: changes.Exposure,
  [RecordKind.RECORD_KIND_SEND]: changes.SendRequest,
  [RecordKind.RECORD_KIND_DECISION]: changes.Decision,
  [RecordKind.RECORD_KIND_DELIVERY]: changes.Delivery,
};

function read(where: string, bytes: Buffer): unknown {
  const frame = decodeFrame(bytes);
  expect(Frame.decode(bytes).records.length, where).toBe(frame.records.length);
  return {
    ...frame,
    records: frame.records.map((record) => {
      const { customerId, body, kind } = record;
      const message = BODIES[kind];
      if (message === undefined) throw new Error(`${where}: nothing here reads kind ${kind}`);
      return { ...record, customerId, body: message.decode(body) };
    }),
  };
}

test('frames of the version before mean what they meant', () => {
  const frames = previousVersion(join(import.meta.dirname, 'previous'), read);
  for (const { where, reads, means } of frames) expect(reads, where).toMatchObject(means);
  const kinds = frames.flatMap(({ means }) =>
    (means as { records: { kind: RecordKind }[] }).records.map((r) => r.kind),
  );
  expect(new Set(kinds).size).toBeGreaterThanOrEqual(12);
});
