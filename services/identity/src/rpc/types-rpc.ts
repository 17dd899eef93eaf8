import { status } from '@grpc/grpc-js';
import { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import type * as api from '#gen/recur/identity/v1/identity_service.ts';
import { DefinitionCalls } from '#lib/definitions/calls.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import { BUILT_IN_TYPES, IDENTIFIER_TYPE_KIND } from '#lib/identifiers/types.ts';
import type { Call } from '#lib/rpc/call.ts';
import { alreadyExists, failedPrecondition, RpcError } from '#lib/rpc/errors.ts';

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
  readonly #calls: DefinitionCalls<IdentifierType>;

  constructor(store: DefinitionStore<IdentifierType>) {
    this.#calls = new DefinitionCalls({
      store,
      kind: IDENTIFIER_TYPE_KIND,
      message: IdentifierType,
      field: 'identifier_type',
      output: { revision: 0, updateTimeMs: 0 },
      maskable: MASKABLE,
    });
  }

  async create({ identifierType, requestId }: api.CreateIdentifierTypeRequest, call: Call) {
    if (identifierType && builtIn(identifierType.id)) throw alreadyExists(`identifier type "${identifierType.id}"`);
    return { identifierType: await this.#calls.create(identifierType, requestId, call) };
  }

  async get({ id }: api.GetIdentifierTypeRequest) {
    return { identifierType: await this.#current(id) };
  }

  async list({ pageSize, pageToken }: api.ListIdentifierTypesRequest): Promise<api.ListIdentifierTypesResponse> {
    const { items: defined, nextPageToken } = await this.#calls.list(pageSize, pageToken);
    if (pageToken !== '') return { identifierTypes: defined, nextPageToken };
    const untouched = [];
    for (const type of BUILT_IN_TYPES) {
      const changed = defined.some((d) => d.id === type.id) || (nextPageToken !== '' && (await this.#changed(type.id)));
      if (!changed) untouched.push(type);
    }
    return { identifierTypes: [...untouched, ...defined], nextPageToken };
  }

  async update({ identifierType, updateMask: mask, requestId }: api.UpdateIdentifierTypeRequest, call: Call) {
    // The first change of a type that comes along stores it.
    const initial = builtIn(identifierType?.id ?? '');
    const finish = (next: IdentifierType, now: IdentifierType) => {
      if (next.normalisation === now.normalisation) return next;
      throw failedPrecondition(
        `The normalisation of "${next.id}" cannot be changed: its identifiers would be nobody's. Make another type.`,
      );
    };
    return { identifierType: await this.#calls.update(identifierType, requestId, call, { mask, initial, finish }) };
  }

  delete(request: api.DeleteIdentifierTypeRequest, call: Call) {
    return this.#calls.delete(request, call);
  }

  async #current(id: string): Promise<IdentifierType> {
    try {
      return await this.#calls.get(id);
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
