import { status } from '@grpc/grpc-js';
import type { MergeCustomersRequest, MergeCustomersResponse } from '#gen/recur/identity/v1/identity_service.ts';
import type * as api from '#gen/recur/identity/v1/match_service.ts';
import { type Match, type MatchServiceService, MatchState } from '#gen/recur/identity/v1/match_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import { aborted, failedPrecondition, invalidArgument, notFound, RpcError } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { matchId, proposalViolations, proposed, reasonOf, reasonViolations, type Violation } from '../core/match.ts';
import { pageOf, readToken } from '../core/match-index.ts';
import type { MatchStore, StoredMatch } from '../store/match-store.ts';

const ID = /^[0-9a-f]{32}$/;
const PAGE = 50;
const MAX_PAGE = 1_000;
/** Attempts to propose what others propose at the same moment. */
const ATTEMPTS = 8;

export interface MatchDeps {
  readonly store: Pick<MatchStore, 'keys' | 'get' | 'put'>;
  /** Through the lane, as every merge. */
  merge(request: MergeCustomersRequest, call: Call): Promise<MergeCustomersResponse>;
  /** Which of these customers there are not. */
  unknown(customerIds: readonly string[]): Promise<ReadonlySet<string>>;
  now(): number;
}

export class MatchRpc implements Handlers<typeof MatchServiceService> {
  readonly #deps: MatchDeps;

  constructor(deps: MatchDeps) {
    this.#deps = deps;
  }

  async proposeMatches({ matches, runId }: api.ProposeMatchesRequest): Promise<api.ProposeMatchesResponse> {
    refuse(proposalViolations(matches, runId));
    const unknown = await this.#deps.unknown([...new Set(matches.flatMap((m) => [m.customerId, m.otherCustomerId]))]);
    refuse(
      matches.flatMap((m, i) => [
        ...(unknown.has(m.customerId)
          ? [{ field: `matches[${i}].customer_id`, description: 'there is no such customer' }]
          : []),
        ...(unknown.has(m.otherCustomerId)
          ? [{ field: `matches[${i}].other_customer_id`, description: 'there is no such customer' }]
          : []),
      ]),
    );
    const stored = await Promise.all(matches.map((m) => this.#propose(m, runId)));
    return { matches: stored.map((match) => ({ ...match, findings: [] })) };
  }

  listMatches(request: api.ListMatchesRequest): Promise<api.ListMatchesResponse> {
    const { pageSize, minProbability, pageToken } = request;
    const after = readToken(pageToken);
    if (after === 'bad') {
      throw invalidArgument([{ field: 'page_token', description: 'must be next_page_token of the page before' }]);
    }
    refuse([
      ...(pageSize >= 0 ? [] : [{ field: 'page_size', description: 'must be 0 or more' }]),
      ...(minProbability >= 0 && minProbability <= 1
        ? []
        : [{ field: 'min_probability', description: `must be 0 to 1, is ${minProbability}` }]),
    ]);
    const size = pageSize === 0 ? PAGE : Math.min(pageSize, MAX_PAGE);
    const { page, total, nextPageToken } = pageOf(this.#deps.store.keys(), request, size, after);
    return this.#page(page.map((key) => key.id)).then((matches) => ({ matches, nextPageToken, totalSize: total }));
  }

  async getMatch({ id }: api.GetMatchRequest): Promise<api.GetMatchResponse> {
    return { match: (await this.#read(id)).match };
  }

  async acceptMatch({ id }: api.AcceptMatchRequest, call: Call): Promise<api.AcceptMatchResponse> {
    const { match, revision } = await this.#read(id);
    if (match.state === MatchState.MATCH_STATE_ACCEPTED) return { match };
    const { customerId, otherCustomerId } = match;
    // Repeated after a crash it is the same request; after a refusal or a rejection it is another one.
    const requestId = `match-${id}-${revision}`;
    const outcome = await refusalOf(() =>
      this.#deps.merge({ customerId, otherCustomerId, reason: reasonOf(match), requestId }, call),
    );
    const decided: Partial<Match> =
      'refusal' in outcome
        ? { state: MatchState.MATCH_STATE_REFUSED, note: outcome.refusal }
        : { state: MatchState.MATCH_STATE_ACCEPTED, note: '', mergedCustomerId: outcome.customerId };
    return { match: await this.#decide({ match, revision }, decided, call) };
  }

  async rejectMatch({ id, reason }: api.RejectMatchRequest, call: Call): Promise<api.RejectMatchResponse> {
    refuse(reasonViolations(reason));
    const stored = await this.#read(id);
    const { state, note, customerId } = stored.match;
    if (state === MatchState.MATCH_STATE_ACCEPTED) {
      throw failedPrecondition(`The two are one customer, "${customerId}" or who that is now: Unmerge parts them.`);
    }
    if (state === MatchState.MATCH_STATE_REJECTED && note === reason) return { match: stored.match };
    return { match: await this.#decide(stored, { state: MatchState.MATCH_STATE_REJECTED, note: reason }, call) };
  }

  async #propose(proposal: api.ProposedMatch, runId: string): Promise<Match> {
    const id = matchId(proposal.customerId, proposal.otherCustomerId);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const known = await this.#deps.store.get(id);
      const match = proposed(known?.match, proposal, runId, this.#deps.now());
      if (match === undefined) return (known as StoredMatch).match;
      if (await this.#deps.store.put(match, known?.revision ?? 0)) return match;
    }
    throw aborted(`Match "${id}" is being proposed by many at once.`);
  }

  async #decide({ match, revision }: StoredMatch, change: Partial<Match>, call: Call): Promise<Match> {
    const decided = { ...match, ...change, decidedBy: call.principal.name, updateTimeMs: this.#deps.now() };
    if (await this.#deps.store.put(decided, revision)) return decided;
    // Sent twice at once, the same is no conflict.
    const { match: now } = await this.#read(match.id);
    if (now.state === decided.state) return now;
    throw aborted(`Match "${match.id}" was decided by somebody else at the same moment: read it again.`);
  }

  async #read(id: string): Promise<StoredMatch> {
    if (!ID.test(id)) throw invalidArgument([{ field: 'id', description: 'must be 32 hex digits' }]);
    const stored = await this.#deps.store.get(id);
    if (stored === undefined) throw notFound(`match "${id}"`);
    return stored;
  }

  async #page(ids: readonly string[]): Promise<Match[]> {
    const found = await Promise.all(ids.map((id) => this.#deps.store.get(id)));
    return found.flatMap((stored) => (stored === undefined ? [] : [stored.match]));
  }
}

/** A limit that forbids the merge is an outcome, everything else an error. */
async function refusalOf(
  merge: () => Promise<MergeCustomersResponse>,
): Promise<MergeCustomersResponse | { refusal: string }> {
  try {
    return await merge();
  } catch (error) {
    if (error instanceof RpcError && error.code === status.FAILED_PRECONDITION) return { refusal: error.message };
    throw error;
  }
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length > 0) throw invalidArgument(violations);
}
