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
  /** Of a merge, into whom. */
  readonly into?: string;
}

/** What is to be decided again. */
export interface Component {
  /** The customer everybody was merged into, and all of them. */
  readonly survivor: string;
  readonly members: ReadonlySet<string>;
  /** Who must not become one (see node.ts), the two being parted among them. */
  readonly apart: readonly string[];
  /** In the order of the lane. */
  readonly history: readonly PastRecord[];
  /** As it is stored now. */
  readonly stored: (key: string) => string | undefined;
  readonly types: IdentifierTypes;
}

export interface Rebuilt {
  /** Everybody there is now, merged ones too. */
  readonly nodes: readonly Node[];
  /** Identifiers as they are to be stored; empty: nobody's. */
  readonly moved: ReadonlyMap<string, string>;
  /** By customer, what happened to it, in order. */
  readonly histories: ReadonlyMap<string, readonly PastRecord[]>;
  /** Who is no customer of their own, and whose they are: members, and who came to be and was merged in what was decided again. */
  readonly parts: ReadonlyMap<string, string>;
  readonly events: number;
  /** Events that belong to another customer than `survivor`. */
  readonly movedEvents: number;
}

/**
 * Decides the history of customers who became one again, by the rules in force now, with some of them kept apart. Customers get
 * the ids they had: an id is made of the event that made it. Nobody from outside is drawn in: what belongs to others now is
 * theirs, as if their identifiers were not named.
 */
export function rebuild(component: Component): Rebuilt {
  const { survivor, members, history } = component;
  const graph = emptyGraph(component);
  const keys = new Set<string>();
  /** Whose each record is, as it was decided then. */
  const decided: { holder: string; record: PastRecord; change: Uint8Array | undefined }[] = [];
  for (const record of history) {
    if (record.kind === RecordKind.RECORD_KIND_MERGED) {
      const kept = mergeAgain(graph, record);
      if (kept !== undefined) decided.push({ holder: kept, record, change: undefined });
      continue;
    }
    const event = readEventKeys(record.body);
    const own = event.identifiers.filter(({ key }) => !isOutside(component, key));
    for (const { key } of own) keys.add(key);
    const { timeMs } = record;
    const about = event.customerId === '' ? record.loggedAs : event.customerId;
    const holder = holderOf(about, graph, survivor);
    if (own.length === 0 && holder !== undefined) {
      decided.push({ holder, record, change: undefined });
      continue;
    }
    const decision = graph.decide(event.identifiers, () => customerId(timeMs, event.source, event.messageId));
    const told = decision.created === decision.customerId || decision.linked.length > 0;
    const change = told ? changeOf(decision, event.messageId) : undefined;
    decided.push({ holder: decision.customerId, record, change });
  }
  const histories = historiesOf(decided, graph);
  const nodes = [...graph.newNodes];
  keepApart(nodes);
  for (const node of nodes) node.identifiers = node.identifiers.filter((i) => !isShared(component.stored(i.key)));
  const events = history.filter((r) => r.kind === RecordKind.RECORD_KIND_EVENT).length;
  const stay = histories.get(survivor)?.filter((r) => r.kind === RecordKind.RECORD_KIND_EVENT).length ?? 0;
  return {
    nodes,
    moved: ownersOf(keys, graph, component),
    histories,
    parts: partsOf(members, decided, graph, survivor),
    events,
    movedEvents: events - stay,
  };
}

/**
 * Whoever is not one any more stays so, whatever part of it becomes its own later: past events that name both must not join a
 * part of the one with the other.
 */
function keepApart(nodes: readonly Node[]): void {
  const live = nodes.filter((n) => n.mergedInto === '');
  live.forEach((a, i) => {
    for (const b of live.slice(i + 1)) {
      const apart = apartOf([...membersOf(a)], [...membersOf(b)]);
      a.apart.push(apart);
      b.apart.push(apart);
    }
  });
}

function emptyGraph({ apart, types, stored, members }: Component): Graph {
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
function isOutside({ stored, members }: Component, key: string): boolean {
  const owner = ownerIn(stored(key));
  return owner !== undefined && !members.has(owner);
}

/** Who a customer of this history is by now. */
function live(graph: Graph, id: string): Node | undefined {
  let node = graph.made(id);
  while (node && node.mergedInto !== '') node = graph.made(node.mergedInto);
  return node;
}

/** For an event that names nobody of these any more. */
function holderOf(customerId: string, graph: Graph, survivor: string): string | undefined {
  return (live(graph, customerId) ?? live(graph, survivor))?.id;
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
  members: ReadonlySet<string>,
  decided: readonly { holder: string; record: PastRecord }[],
  graph: Graph,
  survivor: string,
): Map<string, string> {
  const parts = new Map<string, string>();
  for (const id of members) {
    const node = live(graph, id);
    if (node?.id === id) continue;
    const first = decided.find(({ record }) => record.loggedAs === id)?.holder;
    const into = node ?? (first === undefined ? undefined : live(graph, first)) ?? live(graph, survivor);
    if (into) parts.set(id, into.id);
  }
  // Made by an event that went to somebody else then, and merged since: the log has to tell of them like of any other.
  for (const { id, mergedInto } of graph.newNodes)
    if (mergedInto !== '' && !members.has(id)) parts.set(id, (live(graph, id) as Node).id);
  return parts;
}
