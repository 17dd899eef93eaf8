import { MatchState } from '#gen/recur/identity/v1/match_service.ts';
import type { Link } from '#lib/matching/match.ts';
import type { Api } from '#tools/library/api.ts';
import type { CustomerKey, Customers } from './customers.ts';
import type { Found } from './result-file.ts';

export interface Proposed {
  /** Customers of the links whom Recur does not know by any of their identifiers. */
  unknown: number;
  /** Links between two who are one already. */
  same: number;
  open: number;
  /** Accepted, now or before. */
  accepted: number;
  refused: number;
  /** Rejected by a person before: left as they are. */
  rejected: number;
}

export type MatchApi = Pick<Api, 'identity' | 'match'>;

const BATCH = 200;
const RESOLVED = 500;
/** Merges under way at once. */
const AT_ONCE = 16;

/**
 * Tells identity of the links, in batches, going on where `found` says an earlier run came to; with `accept` also accepts those
 * that the threshold accepts. Repeating any of it changes nothing.
 */
export async function proposeAll(
  api: MatchApi,
  found: Found,
  customers: Customers,
  accept: boolean,
  save: (found: Found) => void,
  told: (done: number, of: number) => void,
): Promise<Proposed> {
  const links = [...found.accepted, ...found.review];
  const total: Proposed = { unknown: 0, same: 0, open: 0, accepted: 0, refused: 0, rejected: 0 };
  const start = accept ? Math.min(found.proposed, found.merged) : found.proposed;
  for (let i = start; i < links.length; i += BATCH) {
    const batch = links.slice(i, i + BATCH);
    const ids = await customerIds(api, batch, customers);
    const certain = Math.max(0, Math.min(BATCH, found.accepted.length - i));
    const matches = await proposeBatch(api, batch, ids, found.run, total);
    for (let m = 0; m < matches.length; m += AT_ONCE) {
      await Promise.all(
        matches.slice(m, m + AT_ONCE).map(async ({ id, state, link }) => {
          const wanted = accept && link < certain && state === MatchState.MATCH_STATE_OPEN;
          count(wanted ? (await api.match.acceptMatch({ id })).match?.state : state, total);
        }),
      );
    }
    found.proposed = Math.max(found.proposed, Math.min(i + BATCH, links.length));
    if (accept) found.merged = Math.min(i + BATCH, links.length);
    save(found);
    told(Math.min(i + BATCH, links.length), links.length);
  }
  return total;
}

async function proposeBatch(
  api: MatchApi,
  batch: readonly Link[],
  ids: ReadonlyMap<number, string>,
  runId: string,
  total: Proposed,
) {
  const proposals = batch.flatMap(({ a, b, probability, findings }, link) => {
    const [customerId, otherCustomerId] = [ids.get(a) ?? '', ids.get(b) ?? ''];
    if (customerId === '' || otherCustomerId === '') total.unknown++;
    else if (customerId === otherCustomerId) total.same++;
    else {
      const said = findings.map(({ name, level, bits }) => ({ field: plain(name), level, bits }));
      return [{ link, proposal: { customerId, otherCustomerId, probability, findings: said } }];
    }
    return [];
  });
  if (proposals.length === 0) return [];
  const { matches } = await api.match.proposeMatches({ matches: proposals.map((p) => p.proposal), runId });
  return matches.map(({ id, state }, i) => ({ id, state, link: proposals[i]?.link as number }));
}

/** Columns may be called anything. */
function plain(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N}_\-./() ]/gu, '_').slice(0, 64) || 'field';
}

/** Per customer of these links who it is in Recur, by the first of its identifiers that is known. */
async function customerIds(api: MatchApi, links: readonly Link[], { known }: Customers): Promise<Map<number, string>> {
  const ids = new Map<number, string>();
  const asked: { row: number; key: CustomerKey }[] = [];
  for (const row of new Set(links.flatMap(({ a, b }) => [a, b]))) {
    const who = known[row] ?? [];
    if (typeof who === 'string') ids.set(row, who);
    else asked.push(...who.map((key) => ({ row, key })));
  }
  for (let i = 0; i < asked.length; i += RESOLVED) {
    const part = asked.slice(i, i + RESOLVED);
    const identifiers = part.map(({ key }) => ({ type: key.type, key: { $case: 'value' as const, value: key.value } }));
    const { results } = await api.identity.resolveIdentifiers({ identifiers });
    for (const [j, { customerId }] of results.entries()) {
      const row = part[j]?.row as number;
      if (customerId !== '' && !ids.has(row)) ids.set(row, customerId);
    }
  }
  return ids;
}

function count(state: MatchState | undefined, total: Proposed): void {
  if (state === MatchState.MATCH_STATE_ACCEPTED) total.accepted++;
  else if (state === MatchState.MATCH_STATE_REFUSED) total.refused++;
  else if (state === MatchState.MATCH_STATE_REJECTED) total.rejected++;
  else total.open++;
}
