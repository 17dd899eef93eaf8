import type { MissingPart, Profile } from '#gen/recur/profile/v1/profile.ts';
import type {
  BatchGetProfilesRequest,
  BatchGetProfilesResponse,
  GetProfileRequest,
  GetProfileResponse,
  ListEventsRequest,
  ListEventsResponse,
  ProfileServiceService,
  StreamProfileChangesRequest,
  StreamProfileChangesResponse,
} from '#gen/recur/profile/v1/profile_service.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import type { Call } from '#lib/rpc/call.ts';
import { invalidArgument, notFound, RpcError, unavailable } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { mayCall } from '#lib/rpc/tokens.ts';
import type { DefinitionsView } from '../core/computed-view.ts';
import { profileOf, type View } from '../core/profile.ts';
import type { PeerField, ReadMask } from '../core/read-mask.ts';
import type { ProfileState } from '../core/state.ts';
import { beforeOf, customerIdOf, customerIdsOf, identifierOf, maskOf, namesOf, pageSizeOf } from './validate.ts';

/** Scope of tokens that may see personal traits in the clear. */
const PERSONAL_SCOPE = 'profile.pii';

/** Committed states; ids of merged customers give the one they became. */
export interface ProfileStates {
  getMany(customerIds: readonly string[]): Promise<({ customerId: string; state: ProfileState } | undefined)[]>;
}

/** What "now" is for a customer: the moment windows end at. */
export type ReadClock = (customerId: string) => number | Promise<number>;

/** Who an identifier belongs to. */
export interface CustomerLookup {
  find(identifier: { type: string; value: string }, call: Call): Promise<string | undefined>;
}

/** What other services know of a customer. Never throws for one that does not answer: it is told in `missing`. */
export interface PeerParts {
  get(
    customerId: string,
    fields: ReadonlySet<PeerField>,
    call: Call,
  ): Promise<Partial<Profile> & { missing: MissingPart[] }>;
}

/** The customer's events, newest first. */
export interface Timeline {
  list(query: ListEventsRequest, call: Call): Promise<ListEventsResponse>;
}

export interface ProfileParts {
  readonly states: ProfileStates;
  readonly clock: ReadClock;
  /** What is defined, as it is in force for a customer. */
  readonly definitions: (customerId: string) => DefinitionsView | Promise<DefinitionsView>;
  readonly zone: ShopZone;
  /** Opens a sealed value; throws when it cannot. Absent: there are no keys. */
  readonly open: ((sealed: Uint8Array) => string) | undefined;
  readonly lookup: CustomerLookup;
  readonly peers: PeerParts;
  readonly timeline: Timeline;
  readonly changes: Changes;
}

/** Changes of profiles as they happen. */
export interface Changes {
  stream(request: StreamProfileChangesRequest, call: Call): AsyncIterable<StreamProfileChangesResponse>;
}

/** recur.profile.v1.ProfileService */
export class ProfileHandlers implements Handlers<typeof ProfileServiceService> {
  readonly #parts: ProfileParts;

  constructor(parts: ProfileParts) {
    this.#parts = parts;
  }

  async getProfile(request: GetProfileRequest, call: Call): Promise<GetProfileResponse> {
    const mask = maskOf(request.readMask, { peers: true });
    const customerId = await this.#customerOf(request, call);
    // What others say is asked at the same time; after a merge they follow to the same survivor.
    const [found, parts] = await Promise.all([
      this.#states([customerId]),
      mask.peers.size > 0 ? this.#parts.peers.get(customerId, mask.peers, call) : undefined,
    ]);
    const [one] = found;
    if (one === undefined) throw notFound(`customer "${customerId}"`);
    const profile = await this.#profile(one.customerId, one.state, mask, call);
    return { profile: { ...profile, ...parts } };
  }

  async batchGetProfiles(request: BatchGetProfilesRequest, call: Call): Promise<BatchGetProfilesResponse> {
    const ids = customerIdsOf(request.customerIds);
    const mask = maskOf(request.readMask, { peers: false });
    const found = await this.#states(ids);
    const profiles: Profile[] = [];
    const missing: string[] = [];
    for (const [i, one] of found.entries()) {
      if (one === undefined) missing.push(ids[i] as string);
      else profiles.push(await this.#profile(one.customerId, one.state, mask, call));
    }
    return { profiles, notFound: missing };
  }

  async listEvents(request: ListEventsRequest, call: Call): Promise<ListEventsResponse> {
    const customerId = customerIdOf('customer_id', request.customerId);
    const names = namesOf(request.names);
    const pageSize = pageSizeOf(request.pageSize);
    const beforeMs = beforeOf(request.beforeMs);
    return this.#parts.timeline.list({ customerId, pageSize, pageToken: request.pageToken, names, beforeMs }, call);
  }

  streamProfileChanges(request: StreamProfileChangesRequest, call: Call): AsyncIterable<StreamProfileChangesResponse> {
    return this.#parts.changes.stream(request, call);
  }

  async #customerOf({ customer }: GetProfileRequest, call: Call): Promise<string> {
    if (customer === undefined) {
      throw invalidArgument([{ field: 'customer', description: 'one of customer_id and identifier is required' }]);
    }
    if (customer.$case === 'customerId') return customerIdOf('customer_id', customer.value);
    const identifier = identifierOf(customer.value);
    const found = await this.#parts.lookup.find(identifier, call);
    if (found === undefined) throw notFound(`customer with this ${identifier.type}`);
    return found;
  }

  async #states(ids: readonly string[]): ReturnType<ProfileStates['getMany']> {
    try {
      return await this.#parts.states.getMany(ids);
    } catch (cause) {
      throw cause instanceof RpcError
        ? cause
        : unavailable('The profile store does not answer.', { cause, retryAfterMs: 1_000 });
    }
  }

  async #profile(customerId: string, state: ProfileState, mask: ReadMask, call: Call): Promise<Profile> {
    const { zone, clock } = this.#parts;
    const now = await clock(customerId);
    const definitions = await this.#parts.definitions(customerId);
    const view: View = { fields: mask.own, now, zone, definitions, open: this.#opener(call) };
    return profileOf(customerId, state, view);
  }

  #opener(call: Call): View['open'] {
    const { open } = this.#parts;
    if (open === undefined || !mayCall(call.principal, PERSONAL_SCOPE)) return () => undefined;
    return (sealed) => {
      try {
        return open(sealed);
      } catch {
        // Sealed with a key that is gone: as good as masked.
        return undefined;
      }
    };
  }
}
