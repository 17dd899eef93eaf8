import type { JourneyDefinition, Node } from '#gen/recur/journey/v1/journey.ts';
import type { Violations } from './violations.ts';

/** A way out of a node. */
export interface Edge {
  /** Position of the target below the node, e.g. "wait.next". */
  readonly field: string;
  readonly target: string;
  readonly holdOut: boolean;
}

export function edgesOf(node: Node): Edge[] {
  const edge = (field: string, target: string, holdOut = false): Edge => ({ field, target, holdOut });
  switch (node.kind?.$case) {
    case 'wait':
      return [
        edge('wait.next', node.kind.value.next),
        ...(node.kind.value.noDate === '' ? [] : [edge('wait.no_date', node.kind.value.noDate)]),
      ];
    case 'waitForEvent':
      return [
        edge('wait_for_event.happened', node.kind.value.happened),
        edge('wait_for_event.timed_out', node.kind.value.timedOut),
        ...node.kind.value.ways.map((way, i) => edge(`wait_for_event.ways[${i}].next`, way.next)),
      ];
    case 'branch':
      return [
        ...node.kind.value.ways.map((way, i) => edge(`branch.ways[${i}].next`, way.next)),
        edge('branch.otherwise', node.kind.value.otherwise),
      ];
    case 'split':
      return node.kind.value.variants.map((v, i) => edge(`split.variants[${i}].next`, v.next, v.holdOut));
    case 'message':
      return [edge('message.next', node.kind.value.next)];
    case 'webhook':
      return [edge('webhook.next', node.kind.value.next)];
    case 'updateTraits':
      return [edge('update_traits.next', node.kind.value.next)];
    case 'emitEvent':
      return [edge('emit_event.next', node.kind.value.next)];
    default:
      return [];
  }
}

/** Targets exist, every node is reachable, cycles wait, hold-out arms get no message. */
export function checkGraph(definition: JourneyDefinition, at: string, violations: Violations): void {
  const graph = new Graph(definition.nodes);
  const before = violations.found.length;
  checkTargets(definition, graph, at, violations);
  if (violations.found.length > before) return;
  const reached = graph.from(definition.start);
  definition.nodes.forEach((node, i) => {
    violations.check(reached.has(node.id), `${at}.nodes[${i}]`, `"${node.id}" is not reachable from start`);
  });
  checkCycles(graph, at, violations);
  checkHoldOuts(graph, at, violations);
}

class Graph {
  readonly nodes: readonly Node[];
  readonly indexOf = new Map<string, number>();
  readonly edges: readonly Edge[][];

  constructor(nodes: readonly Node[]) {
    this.nodes = nodes;
    this.edges = nodes.map(edgesOf);
    for (const [i, node] of nodes.entries()) this.indexOf.set(node.id, i);
  }

  /** Ids of the nodes reachable from one, itself included. */
  from(start: string): Set<string> {
    const seen = new Set<string>();
    const open = [start];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const index = this.indexOf.get(id);
      if (index === undefined || seen.has(id)) continue;
      seen.add(id);
      for (const edge of this.edges[index] ?? []) open.push(edge.target);
    }
    return seen;
  }
}

function checkTargets(definition: JourneyDefinition, graph: Graph, at: string, violations: Violations): void {
  if (definition.start === '') violations.add(`${at}.start`, 'is missing: name the first node');
  else if (!graph.indexOf.has(definition.start))
    violations.add(`${at}.start`, `there is no node "${definition.start}"`);
  graph.edges.forEach((edges, i) => {
    for (const { field, target } of edges) {
      const position = `${at}.nodes[${i}].${field}`;
      if (target === '') violations.add(position, 'is missing: every way out names the next node');
      else if (!graph.indexOf.has(target)) violations.add(position, `there is no node "${target}"`);
    }
  });
}

/** Depth first over nodes that do not wait: a way back to one on the path is a cycle nothing slows down. */
function checkCycles(graph: Graph, at: string, violations: Violations): void {
  const state = new Map<number, 'on path' | 'done'>();
  const visit = (index: number): void => {
    state.set(index, 'on path');
    for (const { field, target } of graph.edges[index] ?? []) {
      const next = graph.indexOf.get(target);
      if (next === undefined || waits(graph.nodes[next])) continue;
      if (state.get(next) === 'on path') {
        violations.add(`${at}.nodes[${index}].${field}`, `closes a cycle through "${target}" that contains no wait`);
      } else if (!state.has(next)) visit(next);
    }
    state.set(index, 'done');
  };
  graph.nodes.forEach((node, i) => {
    if (!waits(node) && !state.has(i)) visit(i);
  });
}

/** Whether somebody can be found at the node. */
export function waits(node: Node | undefined): boolean {
  return node?.kind?.$case === 'wait' || node?.kind?.$case === 'waitForEvent';
}

function checkHoldOuts(graph: Graph, at: string, violations: Violations): void {
  graph.edges.forEach((edges, i) => {
    for (const { field, target, holdOut } of edges) {
      if (!holdOut) continue;
      for (const id of graph.from(target)) {
        const node = graph.nodes[graph.indexOf.get(id) ?? -1];
        const kind = node?.kind?.$case;
        if (kind !== 'message' && kind !== 'webhook') continue;
        violations.add(`${at}.nodes[${i}].${field}`, `is the hold-out arm and must not lead to the ${kind} "${id}"`);
      }
    }
  });
}
