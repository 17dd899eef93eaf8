import { SegmentChange } from '#gen/recur/log/v1/changes.ts';

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
  readonly entered: boolean;
  /** The encoded SegmentChange: the same for every customer, so it is encoded once. */
  readonly body: Uint8Array;
}

export function segmentMove(segmentId: string, revision: number, entered: boolean): SegmentMove {
  return { segmentId, entered, body: SegmentChange.encode({ segmentId, revision, entered }).finish() };
}
