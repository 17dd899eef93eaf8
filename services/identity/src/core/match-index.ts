import { MatchState } from '#gen/recur/identity/v1/match_service.ts';

/** What listing needs to know of a match. */
export interface MatchKey {
  readonly id: string;
  readonly state: MatchState;
  readonly probability: number;
  readonly customerId: string;
  readonly otherCustomerId: string;
}

export interface MatchFilter {
  readonly state: MatchState;
  readonly minProbability: number;
  readonly customerId: string;
}

/** Likeliest first; of equally likely ones the order never changes. */
export function byLikelihood(a: MatchKey, b: MatchKey): number {
  return b.probability - a.probability || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export function meets(key: MatchKey, { state, minProbability, customerId }: MatchFilter): boolean {
  const wanted = state === MatchState.MATCH_STATE_UNSPECIFIED ? MatchState.MATCH_STATE_OPEN : state;
  if (key.state !== wanted || key.probability < minProbability) return false;
  return customerId === '' || key.customerId === customerId || key.otherCustomerId === customerId;
}

/** The matches behind the last one of the page before, and what to ask for next. */
export function pageOf(
  keys: Iterable<MatchKey>,
  filter: MatchFilter,
  size: number,
  after: Pick<MatchKey, 'probability' | 'id'> | undefined,
): { page: MatchKey[]; total: number; nextPageToken: string } {
  const all = [...keys].filter((key) => meets(key, filter)).sort(byLikelihood);
  const rest = after === undefined ? all : all.filter((key) => byLikelihood(key, { ...key, ...after }) > 0);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  return { page, total: all.length, nextPageToken: last && rest.length > size ? tokenOf(last) : '' };
}

function tokenOf({ probability, id }: MatchKey): string {
  return Buffer.from(`${probability} ${id}`).toString('base64url');
}

/** @returns 'bad' for what is no token */
export function readToken(token: string): Pick<MatchKey, 'probability' | 'id'> | undefined | 'bad' {
  if (token === '') return undefined;
  const [probability = '', id = ''] = Buffer.from(token.slice(0, 200), 'base64url').toString().split(' ');
  const number = Number(probability);
  return /^[0-9a-f]{32}$/.test(id) && number >= 0 && number <= 1 ? { probability: number, id } : 'bad';
}
