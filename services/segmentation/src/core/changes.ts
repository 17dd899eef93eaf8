import { type ClassChange, SegmentChange } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState } from './state.ts';

/** What an evaluation changed, in the order it is told to others: classes first, then segments. */
export interface Moves {
  readonly classes: ClassMove[];
  readonly segments: SegmentMove[];
}

export interface ClassMove {
  readonly dimension: 'rfm' | 'lifecycle';
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export interface SegmentMove {
  readonly segmentId: string;
  readonly revision: number;
  readonly entered: boolean;
  /** The encoded SegmentChange: the same for every customer, so it is encoded once. */
  readonly body: Uint8Array;
}

/** How two states differ, as it is told after a merge was taken back: nobody came or went just now. */
export function restoredMoves(
  before: CustomerState | undefined,
  after: CustomerState,
  revisionOf: (segmentId: string) => number,
): { classes: ClassChange[]; segments: SegmentChange[] } {
  const [was, is] = [new Set(idsOf(before)), new Set(idsOf(after))];
  const change = (segmentId: string, entered: boolean): SegmentChange => ({
    segmentId,
    revision: revisionOf(segmentId),
    entered,
    restored: true,
  });
  const reason = 'a merge was taken back';
  const classes = (
    [
      { dimension: 'rfm', from: before?.rfmClass ?? '', to: after.rfmClass },
      { dimension: 'lifecycle', from: before?.lifecycleStage ?? '', to: after.lifecycleStage },
    ] as const
  )
    .filter(({ from, to }) => from !== to)
    .map((c) => ({ ...c, reason, restored: true }));
  return {
    classes,
    segments: [
      ...[...was].filter((id) => !is.has(id)).map((id) => change(id, false)),
      ...[...is].filter((id) => !was.has(id)).map((id) => change(id, true)),
    ],
  };
}

function idsOf(state: CustomerState | undefined): string[] {
  return state ? [...state.members.entries()].map(([id]) => id) : [];
}

export function segmentMove(segmentId: string, revision: number, entered: boolean): SegmentMove {
  return {
    segmentId,
    revision,
    entered,
    body: SegmentChange.encode({ segmentId, revision, entered, restored: false }).finish(),
  };
}
