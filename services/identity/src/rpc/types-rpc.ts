import { status } from '@grpc/grpc-js';
import type { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import type * as api from '#gen/recur/identity/v1/identity_service.ts';
import type { DefinitionStore, Stored, WriteOptions } from '#lib/definitions/store.ts';
import { BUILT_IN_TYPES } from '#lib/identifiers/types.ts';
import type { Call } from '#lib/rpc/call.ts';
import { alreadyExists, failedPrecondition, invalidArgument, RpcError } from '#lib/rpc/errors.ts';

const MASKABLE = {
  description: 'description',
  family: 'family',
  normalisation: 'normalisation',
  limit: 'limit',
  priority: 'priority',
  exclusive: 'exclusive',
  identifies: 'identifies',
  joins: 'joins',
  blocked_values: 'blockedValues',
  blocked_patterns: 'blockedPatterns',
  shared_after: 'sharedAfter',
} as const satisfies Record<string, keyof IdentifierType>;

const builtIn = (id: string): IdentifierType | undefined => BUILT_IN_TYPES.find((t) => t.id === id);

/** Identifier types: those that come along, and what callers make of them. */
export class TypesRpc {
  readonly #store: DefinitionStore<IdentifierType>;

  constructor(store: DefinitionStore<IdentifierType>) {
    this.#store = store;
  }

  async create({ identifierType, requestId }: api.CreateIdentifierTypeRequest, call: Call) {
    const given = required(identifierType);
    if (builtIn(given.id)) throw alreadyExists(`identifier type "${given.id}"`);
    return { identifierType: answer(await this.#store.create(given.id, bare(given), options(requestId, call))) };
  }

  async get({ id }: api.GetIdentifierTypeRequest) {
    return { identifierType: await this.#current(id) };
  }

  async list({ pageSize, pageToken }: api.ListIdentifierTypesRequest): Promise<api.ListIdentifierTypesResponse> {
    const { items, nextPageToken } = await this.#store.list(pageSize, pageToken);
    const defined = items.map(answer);
    if (pageToken !== '') return { identifierTypes: defined, nextPageToken };
    const untouched = [];
    for (const type of BUILT_IN_TYPES) {
      const changed = defined.some((d) => d.id === type.id) || (nextPageToken !== '' && (await this.#changed(type.id)));
      if (!changed) untouched.push(type);
    }
    return { identifierTypes: [...untouched, ...defined], nextPageToken };
  }

  async update({ identifierType, updateMask, requestId }: api.UpdateIdentifierTypeRequest, call: Call) {
    const given = required(identifierType);
    const before = await this.#current(given.id);
    const next = masked(before, given, updateMask ?? []);
    if (next.normalisation !== before.normalisation) {
      throw failedPrecondition(
        `The normalisation of "${given.id}" cannot be changed: its identifiers would be nobody's. Make another type.`,
      );
    }
    if (builtIn(given.id) && given.revision === 0) {
      // The first change of a type that comes along; repeated, it gives the same answer.
      const made = await this.#firstOf(given.id, bare(next), requestId, call);
      if (made) return { identifierType: answer(made) };
    }
    const write = options(requestId, call, given.revision);
    return { identifierType: answer(await this.#store.update(given.id, bare(next), write)) };
  }

  async #firstOf(id: string, type: IdentifierType, requestId: string, call: Call) {
    try {
      return await this.#store.create(id, type, options(requestId, call));
    } catch (error) {
      if (error instanceof RpcError && error.code === status.ALREADY_EXISTS) return undefined;
      throw error;
    }
  }

  async delete({ id, revision, requestId }: api.DeleteIdentifierTypeRequest, call: Call) {
    await this.#store.delete(id, options(requestId, call, revision));
    return {};
  }

  async #current(id: string): Promise<IdentifierType> {
    try {
      return answer(await this.#store.get(id));
    } catch (error) {
      const type = builtIn(id);
      if (type && error instanceof RpcError && error.code === status.NOT_FOUND) return type;
      throw error;
    }
  }

  async #changed(id: string): Promise<boolean> {
    return (await this.#current(id)).revision > 0;
  }
}

function masked(before: IdentifierType, given: IdentifierType, mask: readonly string[]): IdentifierType {
  if (mask.length === 0) return given;
  const next: Record<string, unknown> = { ...before };
  for (const path of mask) {
    const field = MASKABLE[path as keyof typeof MASKABLE];
    if (field === undefined) {
      const names = Object.keys(MASKABLE).join(', ');
      throw invalidArgument([{ field: 'update_mask', description: `"${path.slice(0, 50)}" must be one of ${names}` }]);
    }
    next[field] = given[field];
  }
  return next as unknown as IdentifierType;
}

function required(type: IdentifierType | undefined): IdentifierType {
  if (type === undefined) throw invalidArgument([{ field: 'identifier_type', description: 'must be set' }]);
  return type;
}

function options(requestId: string, call: Call, expectedRevision = 0): WriteOptions {
  return { requestId, expectedRevision, author: call.principal.name };
}

/** As it is stored: what the store knows itself is left out. */
const bare = (type: IdentifierType): IdentifierType => ({ ...type, revision: 0, updateTimeMs: 0 });

const answer = ({ id, definition, revision, updateTimeMs }: Stored<IdentifierType>): IdentifierType => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
});
