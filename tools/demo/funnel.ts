import type { Journey, Node } from '#gen/recur/journey/v1/journey.ts';

/** A row of v_journey_funnel, over all versions of the journey. */
export interface FunnelRow extends Record<string, unknown> {
  readonly journey_id: string;
  readonly node_id: string;
  readonly action: string;
  readonly branch: string;
  readonly reason: string;
  readonly customers: number;
}

export interface FunnelLine {
  readonly what: string;
  readonly count: number;
}

/** Messages a journey asked for and messaging decided against. */
export interface NotSentRow extends Record<string, unknown> {
  readonly journey_id: string;
  readonly reason: string;
  readonly messages: number;
}

/**
 * What happened in one journey, in the order in which its author wrote the nodes: customers at each node, messages that were
 * not sent and why, customers who reached the goal, and why they left.
 */
export function funnelOf(
  journey: Pick<Journey, 'id' | 'definition'>,
  rows: readonly FunnelRow[],
  notSent: readonly NotSentRow[],
): FunnelLine[] {
  const own = rows.filter((row) => row.journey_id === journey.id);
  const nodes = journey.definition?.nodes ?? [];
  const reached = nodes
    .filter((node) => node.kind?.$case !== 'exit')
    .flatMap((node) => {
      const order = branchesOf(node);
      const there = own.filter((row) => row.action === 'reached' && row.node_id === node.id);
      return there
        .sort((a, b) => order.indexOf(a.branch) - order.indexOf(b.branch))
        .map(({ branch, customers }) => ({
          what: branch === '' ? node.id : `${node.id} → ${branch}`,
          count: customers,
        }));
    });
  const goal = sumBy(
    own.filter((row) => row.action === 'converted'),
    ({ reason }) => `goal: ${reason}`,
  );
  const left = sumBy(
    own.filter((row) => row.action === 'exited'),
    ({ reason, node_id }) => `left: ${reason || node_id}`,
  );
  const refused = notSent
    .filter((row) => row.journey_id === journey.id)
    .map(({ reason, messages }) => ({ what: `not sent: ${reason}`, count: messages }));
  return [...reached, ...refused.sort(byCount), ...goal, ...left.sort(byCount)];
}

const byCount = (a: FunnelLine, b: FunnelLine) => b.count - a.count;

function branchesOf({ kind }: Node): string[] {
  switch (kind?.$case) {
    case 'split':
      return kind.value.variants.map(({ id }) => id);
    case 'branch':
      return [...kind.value.ways.map(({ id }) => id), 'otherwise'];
    case 'waitForEvent':
      return ['happened', 'timed_out'];
    default:
      return [];
  }
}

function sumBy(rows: readonly FunnelRow[], name: (row: FunnelRow) => string): FunnelLine[] {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(name(row), (sums.get(name(row)) ?? 0) + row.customers);
  return [...sums].map(([what, count]) => ({ what, count }));
}
