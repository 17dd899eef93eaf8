import { describe, expect, it } from 'vitest';
import { Restart } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import fc from '#tools/testkit/fast-check.ts';
import { Lane, ownerOf } from '../test/lane-model.ts';
import { membersOf, namedIn, ownerIn } from './core/node.ts';

type Step = { event: string[] } | { unmerge: number } | { merge: [number, number] };

const arbitrary = (
  types: readonly string[],
  commands: readonly ('unmerge' | 'merge')[],
  length: fc.ArrayConstraints = { maxLength: 40 },
) =>
  fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          event: fc.uniqueArray(
            fc.tuple(fc.constantFrom(...types), fc.nat(4)).map((t) => t.join(':')),
            { minLength: 1, maxLength: 3 },
          ),
        }),
      },
      ...(commands.includes('unmerge') ? [{ weight: 2, arbitrary: fc.record({ unmerge: fc.nat(50) }) }] : []),
      ...(commands.includes('merge')
        ? [{ weight: 1, arbitrary: fc.record({ merge: fc.tuple(fc.nat(50), fc.nat(50)) }) }]
        : []),
    ),
    length,
  ) as fc.Arbitrary<Step[]>;

/** Plays the steps; returns who was kept apart. */
async function play(lane: Lane, steps: readonly Step[]): Promise<string[]> {
  for (const step of steps) {
    if ('event' in step) lane.event(step.event);
    else if ('unmerge' in step) {
      const merged = lane.merged();
      const id = merged[step.unmerge % Math.max(merged.length, 1)];
      if (id === undefined) continue;
      // Whoever is no customer by its events alone cannot be taken out.
      expect((await lane.unmerge(id)).refusal).toMatch(/^$|^inseparable: /);
    } else {
      const ids = [...lane.nodes.keys()];
      const [a, b] = step.merge.map((n) => ids[n % Math.max(ids.length, 1)]);
      if (a !== undefined && b !== undefined) await lane.merge(a, b);
    }
  }
  return [...new Set([...lane.nodes.values()].flatMap((n) => n.apart))];
}

const PEOPLE = ['phone', 'email', 'openid', 'shop_account'];
const ALL = [...PEOPLE, 'user_id', 'member_no', 'unionid', 'anonymous_id', 'device_id', 'loyalty_card'];

describe('taking a merge back', () => {
  it('gives each side its own again, and later events to whose identifiers they carry', async () => {
    const lane = new Lane();
    lane.event(['user_id:anna', 'phone:1']);
    lane.event(['email:ben']);
    const [anna, ben] = [ownerOf(lane, 'user_id:anna'), ownerOf(lane, 'email:ben')];
    // The assistant typed Ben's address into Anna's account.
    lane.event(['user_id:anna', 'email:ben']);
    expect(lane.live(ben)).toBe(anna);
    lane.event(['email:ben', 'openid:b']);
    lane.event(['phone:1']);
    expect(await lane.unmerge(ben)).toMatchObject({ refusal: '', customerId: ben, otherCustomerId: anna, events: 5 });
    expect(lane.events()).toEqual(
      new Map([
        ['m1', anna],
        ['m2', ben],
        ['m3', anna],
        ['m4', ben],
        ['m5', anna],
      ]),
    );
    expect(ownerOf(lane, 'openid:b')).toBe(ben);
    // The same mistake again changes nothing.
    lane.event(['user_id:anna', 'email:ben']);
    expect(lane.live(ben)).toBe(ben);
    // A person may say otherwise.
    expect((await lane.merge(anna, ben)).customerId).toBe(anna);
    expect(lane.live(ben)).toBe(anna);
    expect((await lane.unmerge(ben)).refusal).toBe('');
    expect(lane.live(ben)).toBe(ben);
    const tells = lane.log.filter((r) => r.kind === RecordKind.RECORD_KIND_RESTART).map((r) => Restart.decode(r.body));
    expect(tells.filter((r) => r.unmergedFrom === anna)).toHaveLength(2);
  });

  it('is refused for who is not merged, and answered once', async () => {
    const lane = new Lane();
    lane.event(['user_id:anna']);
    const anna = ownerOf(lane, 'user_id:anna');
    expect((await lane.unmerge(anna)).refusal).toBe(`not_merged: ${anna}`);
    expect((await lane.unmerge('nobody')).refusal).toBe('not_merged: nobody');
    expect((await lane.merge(anna, 'nobody')).refusal).toBe('not_found: nobody');
  });

  /** c became one with a by mistake; an event that names c and b could not join them, as a and b are kept apart. */
  async function keptOut() {
    const lane = new Lane();
    for (const event of [['phone:a'], ['phone:b'], ['phone:a', 'phone:b']]) lane.event(event);
    await lane.unmerge(lane.merged()[0] as string);
    lane.event(['phone:c']);
    const [a, b, c] = ['phone:a', 'phone:b', 'phone:c'].map((text) => ownerOf(lane, text)) as [string, string, string];
    lane.event(['phone:c', 'phone:a']);
    expect(lane.live(c)).toBe(a);
    lane.event(['phone:c', 'phone:b']);
    expect(lane.live(c)).not.toBe(b);
    // Seen with c, and not one with it: both have a user id.
    for (const event of [['phone:c', 'user_id:c'], ['user_id:z'], ['user_id:z', 'phone:c']]) lane.event(event);
    return { lane, a, b, c, told: lane.log.length };
  }

  it('joins a third customer whom only the undone link had kept out; who comes out as before is told nothing', async () => {
    const { lane, a, b, c, told } = await keptOut();
    expect(await lane.unmerge(c)).toMatchObject({ refusal: '', customerId: c });
    expect(lane.live(c)).toBe(b);
    expect(ownerOf(lane, 'phone:a')).toBe(a);
    expect(lane.log.slice(told).map((record) => record.customerId)).not.toContain(ownerOf(lane, 'user_id:z'));
  });

  it('joins it with the next event that names both where the log no longer holds its beginning', async () => {
    const { lane, a, b, c, told } = await keptOut();
    lane.cut.add(b);
    expect(await lane.unmerge(c)).toMatchObject({ refusal: '', customerId: c });
    expect([lane.live(a), lane.live(b), lane.live(c)]).toEqual([a, b, c]);
    expect(lane.log.slice(told).map((record) => record.customerId)).not.toContain(b);
    lane.event(['phone:c', 'phone:b']);
    expect(lane.live(c)).toBe(b);
    lane.cut.add(a);
    expect((await lane.unmerge(c)).refusal).toBe(`incomplete: ${b}`);
  });

  it('is refused where by its events the customer is part of the other anyway', async () => {
    const lane = new Lane();
    lane.event(['member_no:a']);
    lane.event(['loyalty_card:b', 'phone:b']);
    const [a, b] = [ownerOf(lane, 'member_no:a'), ownerOf(lane, 'loyalty_card:b')];
    await lane.merge(a, b);
    lane.event(['member_no:c', 'loyalty_card:b']); // a customer of its own, as a person has one member number
    const c = ownerOf(lane, 'member_no:c');
    expect(c).not.toBe(a);
    expect((await lane.unmerge(b)).refusal).toBe('');
    expect(lane.live(c)).toBe(b);
    expect((await lane.unmerge(c)).refusal).toBe(`inseparable: ${c} ${b}`);
  });

  it('ends where a replay from scratch ends that knows from the start who is kept apart', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary(PEOPLE, ['unmerge'], { maxLength: 60, size: 'max' }), async (steps) => {
        const lane = new Lane();
        const apart = await play(lane, steps);
        const scratch = new Lane((id) => apart.filter((sides) => namedIn(sides).includes(id)));
        for (const step of steps) if ('event' in step) scratch.event(step.event);
        expect(grouped(lane.events())).toEqual(grouped(scratch.events()));
        expect(grouped(lane.identifiers())).toEqual(grouped(scratch.identifiers()));
      }),
      { numRuns: 300 },
    );
  });

  it('is never refused while the log is whole, and the log tells of every customer and whose each identifier is', async () => {
    const untold = (lane: Lane) => {
      const told = new Set(lane.log.map((record) => record.customerId));
      return [...lane.nodes.keys()].filter((id) => !told.has(id));
    };
    // Deciding again makes a customer there had not been, and merges it.
    const made: Step[] = [
      { event: ['phone:2'] },
      { event: ['member_no:1', 'member_no:0', 'phone:2'] },
      { event: ['phone:0'] },
      { event: ['member_no:0', 'shop_account:0'] },
      { merge: [0, 22] },
      { unmerge: 0 },
      { unmerge: 0 },
    ];
    await fc.assert(
      fc.asyncProperty(arbitrary(ALL, ['unmerge', 'merge'], { maxLength: 80, size: 'max' }), async (steps) => {
        const lane = new Lane();
        await play(lane, steps);
        expect(untold(lane)).toEqual([]);
        const told = lane.told();
        for (const node of lane.nodes.values()) {
          if (node.mergedInto !== '') continue;
          expect(new Set(node.identifiers.map((i) => i.key))).toEqual(told.get(node.id) ?? new Set());
        }
      }),
      { numRuns: 500, examples: [[made]] },
    );
  });

  it('keeps every identifier with one customer, every event with one, limits kept and who is apart apart', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary(ALL, ['unmerge', 'merge']), async (steps) => {
        const lane = new Lane();
        await play(lane, steps);
        const types = new IdentifierTypes();
        const owned = new Set<string>();
        for (const node of lane.nodes.values()) {
          const counts = new Map<string, number>();
          for (const i of node.identifiers) {
            expect(node.mergedInto).toBe('');
            expect(owned.has(i.key)).toBe(false);
            owned.add(i.key);
            expect(ownerIn(lane.owners.get(i.key))).toBe(node.id);
            counts.set(i.type, (counts.get(i.type) ?? 0) + 1);
          }
          for (const [type, n] of counts) expect(n).toBeLessThanOrEqual(types.of(type).limit);
          // Whoever is no customer by its events any more (decided again, they are another's) is apart from nobody.
          const members = membersOf(node);
          for (const apart of node.mergedInto === '' ? node.apart : []) {
            const [left = [], right = []] = apart.split(' ').map((side) => side.split(','));
            const inside = (side: string[]) => side.some((id) => members.has(id));
            expect(inside(left) && inside(right)).toBe(false);
          }
        }
        expect(owned).toEqual(new Set(lane.identifiers().keys()));
        expect(lane.events().size).toBe(steps.filter((s) => 'event' in s).length);
      }),
      { numRuns: 300 },
    );
  });
});

/** Who is together with whom, whatever they are called. */
function grouped(holders: ReadonlyMap<string, string>): string[] {
  const groups = Map.groupBy([...holders], ([, holder]) => holder);
  return [...groups.values()]
    .map((members) =>
      members
        .map(([what]) => what)
        .sort()
        .join(' '),
    )
    .sort();
}
