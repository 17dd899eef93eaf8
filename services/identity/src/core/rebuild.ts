import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import { changeOf } from './batch.ts';
import { customerId } from './customer-id.ts';
import { readEventKeys } from './event-keys.ts';
import { Graph } from './graph.ts';
import { apartOf, isShared, membersOf, type Node, namedIn, ownerIn } from './node.ts';

/** A record of the customers concerned, as the log has it. */
export interface PastRecord {
  /** EVENT, or MERGED when a person merged. */
  readonly kind: RecordKind;
  readonly body: Uint8Array;
  readonly timeMs: number;
  /** Where it stands in the log, and the input of the lane it came from. */
  readonly seq: number;
  readonly index: number;
  readonly laneSeq: number;
  readonly laneIndex: number;
  /** Who it was written for; of a merge, who was merged. */
  readonly loggedAs: string;
  /** Whose history it is in by now. */
  readonly heldBy: string;
  /** Of a merge, into whom. */
  readonly into?: string;
}

/** What is to be decided again. */
export interface Component {
  /** The customer the two being parted are one with. */
  readonly survivor: string;
  /** As stored: the survivor, and whoever may have become one with a part of it, had it not been one. */
  readonly customers: readonly Node[];
  /** Who must not become one (see node.ts), the two being parted among them. */
  readonly apart: readonly string[];
  /** In the order of the lane. */
  readonly history: readonly PastRecord[];
  /** As it is stored now. */
  readonly stored: (key: string) => string | undefined;
  readonly types: IdentifierTypes;
}

export interface Rebuilt {
  /** By who is part of it, the customer it was: of all of whom something is different now. */
  readonly before: ReadonlyMap<string, string>;
  /** Everybody there is now, merged ones too. */
  readonly nodes: readonly Node[];
  /** Identifiers as they are to be stored; empty: nobody's. */
  readonly moved: ReadonlyMap<string, string>;
  /** By customer, what happened to it, in order. */
  readonly histories: ReadonlyMap<string, readonly PastRecord[]>;
  /** Who is no customer of their own, and whose they are: members, and who came to be and was merged in what was decided again. */
  readonly parts: ReadonlyMap<string, string>;
  /** Of the survivor, before. */
  readonly events: number;
  /** Those that belong to somebody else now. */
  readonly movedEvents: number;
}

/**
 * Decides the history of customers who became one again, by the rules in force now, with some of them kept apart. Customers get
 * the ids they had: an id is made of the event that made it. Nobody but them is drawn in: what belongs to others is theirs, as if
 * their identifiers were not named. Who comes out as before is left as it is.
 */
export function rebuild(component: Component): Rebuilt {
  const { survivor, customers, history } = component;
  const members = new Map(customers.flatMap((node) => [...membersOf(node)].map((id) => [id, node.id] as const)));
  const was = (record: PastRecord) => members.get(record.heldBy) ?? survivor;
  const graph = emptyGraph(component, members);
  const keys = new Set<string>();
  /** Who was made, and of which of the customers. */
  const madeOf = new Map(members);
  /** Whose each record is, as it was decided then. */
  const decided: { holder: string; record: PastRecord; change: Uint8Array | undefined }[] = [];
  for (const record of history) {
    if (record.kind === RecordKind.RECORD_KIND_MERGED) {
      const kept = mergeAgain(graph, record);
      if (kept !== undefined) decided.push({ holder: kept, record, change: undefined });
      continue;
    }
    const event = readEventKeys(record.body);
    const own = event.identifiers.filter(({ key }) => !isOutside(component, members, key));
    for (const { key } of own) keys.add(key);
    const { timeMs } = record;
    const about = event.customerId === '' ? record.loggedAs : event.customerId;
    const holder = (live(graph, about) ?? live(graph, was(record)))?.id;
    if (own.length === 0 && holder !== undefined) {
      decided.push({ holder, record, change: undefined });
      continue;
    }
    const decision = graph.decide(event.identifiers, () => customerId(timeMs, event.source, event.messageId));
    if (decision.created !== '' && !madeOf.has(decision.created)) madeOf.set(decision.created, was(record));
    // What is shared by now is nobody's: their profiles do not show it.
    const linked = decision.linked.filter(({ key }) => !isShared(component.stored(key)));
    const told = decision.created === decision.customerId || linked.length > 0;
    const change = told ? changeOf({ ...decision, linked }, event.messageId) : undefined;
    decided.push({ holder: decision.customerId, record, change });
  }
  const histories = historiesOf(decided, graph);
  const nodes = [...graph.newNodes];
  keepApart(nodes, madeOf);
  for (const node of nodes) node.identifiers = node.identifiers.filter((i) => !isShared(component.stored(i.key)));
  const ofSurvivor = (r: PastRecord) => r.kind === RecordKind.RECORD_KIND_EVENT && was(r) === survivor;
  const events = history.filter(ofSurvivor).length;
  const parts = partsOf(members, decided, graph);
  const before = new Map(members);
  for (const node of customers) {
    if (node.id === survivor || !isAsBefore(node, graph, histories, component, was)) continue;
    histories.delete(node.id);
    for (const id of membersOf(node)) {
      parts.delete(id);
      before.delete(id);
    }
  }
  return {
    before,
    nodes: nodes.filter((node) => before.has(node.id) || !members.has(node.id)),
    moved: ownersOf(keys, graph, component),
    histories,
    parts,
    events,
    movedEvents: events - (histories.get(survivor)?.filter(ofSurvivor).length ?? 0),
  };
}

/** The same people, the same identifiers, and all that happened to them, and nothing else. */
function isAsBefore(
  node: Node,
  graph: Graph,
  histories: ReadonlyMap<string, readonly PastRecord[]>,
  { history }: Component,
  was: (record: PastRecord) => string,
): boolean {
  const now = live(graph, node.id);
  if (now?.id !== node.id) return false;
  const same = (a: Iterable<string>, b: Iterable<string>) => {
    const [left, right] = [new Set(a), new Set(b)];
    return left.size === right.size && [...left].every((value) => right.has(value));
  };
  const keysOf = ({ identifiers }: Node) => identifiers.map((i) => i.key);
  const told = (records: readonly PastRecord[]) =>
    records.filter((r) => r.kind === RecordKind.RECORD_KIND_EVENT).map((r) => `${was(r)} ${r.laneSeq}/${r.laneIndex}`);
  return (
    same(membersOf(now), membersOf(node)) &&
    same(keysOf(now), keysOf(node)) &&
    same(told(histories.get(node.id) ?? []), told(history.filter((r) => was(r) === node.id)))
  );
}

/**
 * Whoever is not one any more stays so, whatever part of it becomes its own later: past events that name both must not join a
 * part of the one with the other.
 */
function keepApart(nodes: readonly Node[], madeOf: ReadonlyMap<string, string>): void {
  const live = nodes
    .filter((n) => n.mergedInto === '')
    .map((node) => ({ node, parts: Map.groupBy(membersOf(node), (id) => madeOf.get(id) ?? id) }));
  live.forEach((a, i) => {
    for (const b of live.slice(i + 1)) {
      for (const [whole, left] of a.parts) {
        const right = b.parts.get(whole);
        if (right === undefined) continue;
        const apart = apartOf(left, right);
        a.node.apart.push(apart);
        b.node.apart.push(apart);
      }
    }
  });
}

function emptyGraph({ apart, types, stored }: Component, members: ReadonlyMap<string, string>): Graph {
  // Whether a thing is shared was decided by everybody's events, not only by these.
  const unshared = new IdentifierTypes(types.list().map((t) => ({ ...t, sharedAfter: 0 })));
  const outside = new Set<string>();
  const source = {
    owner: (key: string) => {
      const owner = ownerIn(stored(key));
      if (owner === undefined || members.has(owner)) return undefined;
      outside.add(owner);
      return owner;
    },
    node: (id: string): Node => {
      throw new Error(`${id} is not of this history`);
    },
  };
  const keptApart = (id: string) => apart.filter((sides) => namedIn(sides).includes(id));
  return new Graph(source, unshared, { apartOf: keptApart, outside: (id) => outside.has(id) });
}

/** Somebody else has it. */
function isOutside({ stored }: Component, members: ReadonlyMap<string, string>, key: string): boolean {
  const owner = ownerIn(stored(key));
  return owner !== undefined && !members.has(owner);
}

/** Who a customer of this history is by now. */
function live(graph: Graph, id: string): Node | undefined {
  let node = graph.made(id);
  while (node && node.mergedInto !== '') node = graph.made(node.mergedInto);
  return node;
}

/** Returns whose record it is, or undefined when the merge does not stand. */
function mergeAgain(graph: Graph, { loggedAs, into = '' }: PastRecord): string | undefined {
  const [a, b] = [live(graph, loggedAs), live(graph, into)];
  if (!a || !b || a === b) return undefined;
  const result = graph.tryMerge(a, b);
  return typeof result === 'string' ? undefined : result.into;
}

function historiesOf(
  decided: readonly { holder: string; record: PastRecord; change: Uint8Array | undefined }[],
  graph: Graph,
): Map<string, PastRecord[]> {
  const histories = new Map<string, PastRecord[]>();
  for (const node of graph.newNodes) if (node.mergedInto === '') histories.set(node.id, []);
  for (const { holder, record, change } of decided) {
    const list = histories.get((live(graph, holder) as Node).id) as PastRecord[];
    if (change) list.push({ ...record, kind: RecordKind.RECORD_KIND_IDENTITY, body: change });
    list.push(record);
  }
  return histories;
}

function ownersOf(keys: ReadonlySet<string>, graph: Graph, { stored }: Component): Map<string, string> {
  const owners = new Map<string, string>();
  for (const key of keys) if (!isShared(stored(key))) owners.set(key, graph.stored(key) ?? '');
  return owners;
}

function partsOf(
  members: ReadonlyMap<string, string>,
  decided: readonly { holder: string; record: PastRecord }[],
  graph: Graph,
): Map<string, string> {
  const parts = new Map<string, string>();
  for (const [id, whole] of members) {
    const node = live(graph, id);
    if (node?.id === id) continue;
    const theirs =
      decided.find(({ record }) => record.loggedAs === id) ?? decided.find(({ record }) => record.heldBy === id);
    const first = theirs?.holder;
    const into = node ?? (first === undefined ? undefined : live(graph, first)) ?? live(graph, whole);
    if (into) parts.set(id, into.id);
  }
  // Made by an event that went to somebody else then, and merged since: the log has to tell of them like of any other.
  for (const { id, mergedInto } of graph.newNodes)
    if (mergedInto !== '' && !members.has(id)) parts.set(id, (live(graph, id) as Node).id);
  return parts;
}
