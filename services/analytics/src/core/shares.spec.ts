import { describe, expect, it } from 'vitest';
import { StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { plannedShares } from './shares.ts';

const stored = StoredJourney.fromPartial({
  versions: [
    { version: 1, definition: {} },
    {
      version: 2,
      definition: {
        holdOutPercent: 10,
        nodes: [
          {
            id: 'ab',
            kind: {
              $case: 'split',
              value: {
                variants: [
                  { id: 'a', weight: 3 },
                  { id: 'b', weight: 1 },
                ],
              },
            },
          },
          {
            id: 'named',
            kind: {
              $case: 'split',
              value: {
                experimentId: 'x',
                variants: [
                  { id: 'none', weight: 1, holdOut: true },
                  { id: 'all', weight: 1 },
                ],
              },
            },
          },
        ],
      },
    },
  ],
});
const definition = (parts: Partial<Definition>): Definition =>
  Definition.fromPartial({
    kind: 'journey',
    id: 'j',
    revision: 7,
    body: Buffer.from(StoredJourney.encode(stored).finish()),
    ...parts,
  });

describe('planned shares', () => {
  it('are those of the newest version', () => {
    expect(plannedShares(definition({})).map((s) => [s.experimentId, s.variant, s.share, s.revision])).toEqual([
      ['j.ab', 'a', 0.75, 7],
      ['j.ab', 'b', 0.25, 7],
      ['x', 'none', 0.5, 7],
      ['x', 'all', 0.5, 7],
      ['j.hold_out', 'treated', 0.9, 7],
      ['j.hold_out', 'hold_out', 0.1, 7],
    ]);
  });

  it('of anything else there are none', () => {
    expect(plannedShares(definition({ kind: 'segment' }))).toEqual([]);
    expect(plannedShares(definition({ deleted: true }))).toEqual([]);
  });
});
