import { describe, expect, it } from 'vitest';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import fc from '#tools/testkit/fast-check.ts';
import type { IdentifierKey } from './event-keys.ts';
import { Graph, type GraphSource } from './graph.ts';
import { isShared, type Node, newNode, ownerIn } from './node.ts';

const TYPES = new IdentifierTypes();

/** A store in memory that takes over what a batch changed, as the real one does. */
class Memory implements GraphSource {
  readonly owners = new Map<string, string>();
  readonly nodes = new Map<string, Node>();
  owner(key: string): string | undefined {
    return this.owners.get(key);
  }
  node(id: string): Node {
    return this.nodes.get(id) as Node;
  }
  save(graph: Graph): void {
    for (const [key, id] of graph.moved) this.owners.set(key, id);
    for (const node of graph.newNodes) this.nodes.set(node.id, node);
  }
}

const key = (text: string): IdentifierKey => {
  const [type = ''] = text.split(':');
  return { type, hash: Buffer.from(text), key: text };
};

/** Runs events (lists of "type:value") in batches of the given size; returns the customer of each. */
function run(events: readonly string[][], batch = 1, memory = new Memory()) {
  const customers: string[] = [];
  const merges: string[] = [];
  let n = 0;
  for (let i = 0; i < events.length; i += batch) {
    const graph = new Graph(memory, TYPES);
    for (const e of events.slice(i, i + batch)) {
      const decision = graph.decide(e.map(key), () => `c${String(n++).padStart(6, '0')}`);
      customers.push(decision.customerId);
      merges.push(...decision.merges.map((m) => `${m.from}>${m.into}`));
    }
    memory.save(graph);
  }
  return { customers, merges, memory };
}

describe('whose event it is', () => {
  it.each([
    [
      'one browser, later known by name',
      [['anonymous_id:a'], ['anonymous_id:a', 'user_id:u'], ['user_id:u']],
      [0, 0, 0],
      0,
    ],
    [
      'two browsers of one account merge into the older',
      [['anonymous_id:a'], ['user_id:u'], ['anonymous_id:a', 'user_id:u']],
      [0, 1, 0],
      1,
    ],
    [
      'two accounts on one browser stay two',
      [['anonymous_id:a', 'user_id:u'], ['anonymous_id:a', 'user_id:v'], ['user_id:v']],
      [0, 1, 1],
      0,
    ],
    [
      'a phone joins two shop accounts',
      [['shop_account:1', 'phone:9'], ['shop_account:2'], ['shop_account:2', 'phone:9']],
      [0, 1, 0],
      1,
    ],
    [
      'two member numbers never merge through a phone',
      [['member_no:1', 'phone:9'], ['member_no:2', 'phone:9'], ['member_no:2']],
      [0, 1, 1],
      0,
    ],
    ['unionid bridges openids', [['openid:a', 'unionid:x'], ['openid:b'], ['openid:b', 'unionid:x']], [0, 1, 0], 1],
  ])('%s', (_, events, expected, mergeCount) => {
    const { customers, merges } = run(events as string[][]);
    const first = [...new Set(customers)].sort();
    expect(customers.map((c) => first.indexOf(c))).toEqual(expected);
    expect(merges).toHaveLength(mergeCount as number);
  });
});

describe('what is refused', () => {
  /** The rules of each event's refusals, in order. */
  function refusals(events: readonly string[][]): string[][] {
    const memory = new Memory();
    let n = 0;
    return events.map((e) => {
      const graph = new Graph(memory, TYPES);
      const decision = graph.decide(e.map(key), () => `c${String(n++).padStart(6, '0')}`);
      memory.save(graph);
      return decision.refused.map((r) => `${r.identifier.key} ${r.rule}`);
    });
  }

  it('a tablet of two people: told once for each, and neither gets the other', () => {
    const told = refusals([
      ['user_id:anna', 'device_id:t'],
      ['user_id:ben', 'device_id:t'],
      ['user_id:ben', 'device_id:t'],
      ['email:carl', 'device_id:t'],
    ]);
    expect(told).toEqual([[], ['device_id:t guests_only'], [], ['device_id:t guests_only']]);
  });

  it('a thing brings along the past of a guest, and does not give an identified customer a second name', () => {
    const { customers } = run([['device_id:t'], ['device_id:t', 'email:a'], ['device_id:t', 'email:b'], ['email:b']]);
    expect(customers).toEqual(['c000000', 'c000000', 'c000001', 'c000001']);
  });

  it('seen with more than five, it is shared: it links nobody, and its guests are nobody it belonged to', () => {
    const people = Array.from({ length: 6 }, (_, i) => [`user_id:${i}`, 'device_id:kiosk']);
    const told = refusals([...people, ['device_id:kiosk'], ['user_id:9', 'device_id:kiosk']]);
    expect(told[5]).toEqual(['device_id:kiosk guests_only', 'device_id:kiosk shared']);
    expect(told.slice(6)).toEqual([[], []]);
    const { customers } = run([...people, ['device_id:kiosk'], ['device_id:kiosk'], ['user_id:9', 'device_id:kiosk']]);
    expect(new Set(customers.slice(0, 6)).size).toBe(6);
    expect(customers.slice(0, 6)).not.toContain(customers[6]);
    expect(customers[7]).toBe(customers[6]);
    expect(customers[8]).not.toBe(customers[6]);
  });

  it('more of a type than allowed, and two of what one has only one of', () => {
    const phones = Array.from({ length: 6 }, (_, i) => ['user_id:a', `phone:${i}`]);
    expect(refusals(phones)[5]).toEqual(['phone:5 limit']);
    expect(
      refusals([
        ['member_no:1', 'phone:9'],
        ['member_no:2', 'phone:9'],
      ]),
    ).toEqual([[], ['phone:9 exclusive']]);
  });
});

const events = fc.array(
  fc.array(
    fc
      .tuple(fc.constantFrom('anonymous_id', 'user_id', 'email', 'phone', 'member_no', 'unionid'), fc.nat(5))
      .map((t) => t.join(':')),
    { minLength: 1, maxLength: 4 },
  ),
  { maxLength: 60 },
);

describe('the graph', () => {
  it('does not depend on how events are batched', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 2, max: 20 }), (list, size) => {
        expect(run(list, size).customers).toEqual(run(list, 1).customers);
      }),
    );
  });

  it('never gives a customer more identifiers of a type than its rule allows, and every identifier one owner', () => {
    fc.assert(
      fc.property(events, (list) => {
        const { memory } = run(list, 7);
        const owned = new Set<string>();
        for (const node of memory.nodes.values()) {
          const counts = new Map<string, number>();
          for (const i of node.identifiers) {
            expect(node.mergedInto).toBe('');
            expect(owned.has(i.key)).toBe(false);
            owned.add(i.key);
            expect(ownerIn(memory.owners.get(i.key))).toBe(node.id);
            counts.set(i.type, (counts.get(i.type) ?? 0) + 1);
          }
          for (const [type, n] of counts) expect(n).toBeLessThanOrEqual(TYPES.of(type).limit);
        }
        const shared = [...memory.owners.values()].filter(isShared);
        expect(owned.size + shared.length).toBe(memory.owners.size);
      }),
    );
  });
});

describe('a customer addressed by id', () => {
  it('is who that became, through any number of merges, and nobody else', () => {
    const { memory } = run([['anonymous_id:a'], ['user_id:u'], ['anonymous_id:a', 'user_id:u']]);
    const graph = new Graph(memory, TYPES);
    expect(graph.current('c000000')).toBe('c000000');
    expect(graph.current('c000001')).toBe('c000000');
    const nobody = newNode('x');
    memory.nodes.set('x', nobody);
    expect(graph.current('x')).toBeUndefined();
  });
});
