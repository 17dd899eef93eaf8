import { describe, expect, it } from 'vitest';
import { Journey, JourneyStatus, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { changeJourney, deletionRefusal, type Move, moveJourney, newJourney, presentJourney } from './versions.ts';

const journey = (reason: string, nodes = 1) =>
  Journey.fromPartial({
    id: 'j',
    name: reason,
    definition: {
      nodes: Array.from({ length: nodes }, (_, i) => ({ id: `n${i}`, kind: { $case: 'exit', value: { reason } } })),
    },
  });
const move = (stored: StoredJourney, to: Move): StoredJourney => {
  const moved = moveJourney(stored, to, 1);
  if (typeof moved === 'string') throw new Error(moved);
  return moved;
};
const versionsOf = (stored: StoredJourney) => stored.versions.map(({ version }) => version);

describe('versions', () => {
  it('begin with the first start: a draft is replaced', () => {
    const draft = changeJourney(newJourney(journey('a'), 0), journey('b'), ['definition'], 1);
    expect(versionsOf(draft)).toEqual([1]);
    const started = changeJourney(move(draft, 'start'), journey('c'), ['definition'], 2);
    expect(versionsOf(started)).toEqual([1, 2]);
    expect(presentJourney(started, 7)).toMatchObject({ version: 2, revision: 7, name: 'a' });
  });

  it('are not made by a definition that is the same, or by other fields', () => {
    const started = move(newJourney(journey('a'), 0), 'start');
    expect(versionsOf(changeJourney(started, journey('a'), ['name', 'definition'], 1))).toEqual([1]);
    expect(versionsOf(changeJourney(started, journey('b'), ['name'], 1))).toEqual([1]);
  });

  it('go when there are more than 20, or they take too much room', () => {
    let stored = move(newJourney(journey('0'), 0), 'start');
    for (let i = 1; i <= 30; i++) stored = changeJourney(stored, journey(String(i)), ['definition'], i);
    expect(versionsOf(stored)).toEqual(Array.from({ length: 20 }, (_, i) => i + 12));
    for (let i = 0; i < 20; i++)
      stored = changeJourney(stored, journey(`${i}`.padEnd(150, 'x'), 195), ['definition'], i);
    expect(stored.versions.length).toBeGreaterThan(5);
    expect(StoredJourney.encode(stored).finish().length).toBeLessThan(450 * 1024);
    expect(stored.versions.at(-1)?.version).toBe(51);
  });

  it('before a stop are gone when it starts again', () => {
    const stopped = move(
      changeJourney(move(newJourney(journey('a'), 0), 'start'), journey('b'), ['definition'], 1),
      'stop',
    );
    expect(versionsOf(move(stopped, 'start'))).toEqual([3]);
  });
});

describe('status', () => {
  const { JOURNEY_STATUS_ACTIVE, JOURNEY_STATUS_PAUSED, JOURNEY_STATUS_STOPPED, JOURNEY_STATUS_DRAFT } = JourneyStatus;
  const allowed: Record<string, Partial<Record<Move, JourneyStatus>>> = {
    [JOURNEY_STATUS_DRAFT]: { start: JOURNEY_STATUS_ACTIVE },
    [JOURNEY_STATUS_ACTIVE]: { pause: JOURNEY_STATUS_PAUSED, stop: JOURNEY_STATUS_STOPPED },
    [JOURNEY_STATUS_PAUSED]: { resume: JOURNEY_STATUS_ACTIVE, stop: JOURNEY_STATUS_STOPPED },
    [JOURNEY_STATUS_STOPPED]: { start: JOURNEY_STATUS_ACTIVE },
  };

  it.each(Object.keys(allowed))('from %s', (from) => {
    const stored = newJourney(journey('a'), 0);
    stored.journey!.status = Number(from) as JourneyStatus;
    for (const to of ['start', 'pause', 'resume', 'stop'] as const) {
      const moved = moveJourney(stored, to, 1);
      const expected = allowed[from]![to];
      if (expected === undefined)
        expect(moved).toMatch(new RegExp(`^cannot ${to} a journey that is [A-Z]+; it must be`));
      else expect((moved as StoredJourney).journey?.status).toBe(expected);
    }
    const deletable = Number(from) === JOURNEY_STATUS_DRAFT || Number(from) === JOURNEY_STATUS_STOPPED;
    expect(deletionRefusal(stored) === undefined).toBe(deletable);
  });
});
