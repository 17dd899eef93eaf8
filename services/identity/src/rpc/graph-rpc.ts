import type { Redis } from 'ioredis';
import type {
  GetCustomerIdentityRequest,
  GetCustomerIdentityResponse,
  IdentifierKey,
  ResolveIdentifiersRequest,
  ResolveIdentifiersResponse,
} from '#gen/recur/identity/v1/identity_service.ts';
import type { IdentifierValues } from '#lib/identifiers/values.ts';
import { type FieldViolation, invalidArgument, notFound } from '#lib/rpc/errors.ts';
import type { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { identifierKey } from '../core/event-keys.ts';
import { ownerIn } from '../core/node.ts';
import { decodeNode } from '../store/graph-store.ts';

const MAX_IDENTIFIERS = 1000;
const MAX_VALUE = 512;
const TYPE = /^[a-z][a-z0-9_]{0,63}$/;
const CUSTOMER_ID = /^[0-9A-Za-z_-]{1,64}$/;
/** Merges a read follows before it gives up. */
const MAX_HOPS = 16;

/** Reads the committed graph, from any replica. */
export class GraphRpc {
  private readonly redis: Redis;
  private readonly tag: string;
  private readonly hasher: IdentifierHasher;
  private readonly values: () => IdentifierValues;

  constructor(redis: Redis, tag: string, hasher: IdentifierHasher, values: () => IdentifierValues) {
    this.redis = redis;
    this.tag = tag;
    this.hasher = hasher;
    this.values = values;
  }

  async resolveIdentifiers({ identifiers }: ResolveIdentifiersRequest): Promise<ResolveIdentifiersResponse> {
    const violations: FieldViolation[] = [];
    if (identifiers.length < 1 || identifiers.length > MAX_IDENTIFIERS) {
      const description = `must have 1 to ${MAX_IDENTIFIERS} entries, has ${identifiers.length}`;
      throw invalidArgument([{ field: 'identifiers', description }]);
    }
    const keys = identifiers.map((identifier, i) => this.keyOf(identifier, `identifiers[${i}]`, violations));
    if (violations.length > 0) throw invalidArgument(violations);
    const found = await this.redis.mget(keys.map((key) => `${this.tag}:i:${key ?? ''}`));
    return { results: found.map((stored) => ({ customerId: ownerIn(stored ?? undefined) ?? '' })) };
  }

  async getCustomerIdentity({ customerId }: GetCustomerIdentityRequest): Promise<GetCustomerIdentityResponse> {
    if (!CUSTOMER_ID.test(customerId)) {
      const description = 'must be a customer id: 1 to 64 letters, digits, "_" or "-"';
      throw invalidArgument([{ field: 'customer_id', description }]);
    }
    let id = customerId;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const bytes = await this.redis.getBuffer(`${this.tag}:n:${id}`);
      if (!bytes) throw notFound(`customer "${customerId}"`);
      const node = decodeNode(id, bytes);
      if (node.mergedInto === '') {
        const identifiers = node.identifiers.map(({ type, hash }) => ({ type, hash: Buffer.from(hash) }));
        const { identified, absorbed } = node;
        return { identity: { customerId: id, identified, identifiers, absorbedCustomerIds: absorbed } };
      }
      id = node.mergedInto;
    }
    throw notFound(`customer "${customerId}"`);
  }

  /** Which of these customers there never were. */
  async unknown(customerIds: readonly string[]): Promise<Set<string>> {
    if (customerIds.length === 0) return new Set();
    const found = await this.redis.mgetBuffer(customerIds.map((id) => `${this.tag}:n:${id}`));
    return new Set(customerIds.filter((_, i) => !found[i]));
  }

  private keyOf({ type, key }: IdentifierKey, field: string, violations: FieldViolation[]): string | undefined {
    if (!TYPE.test(type)) {
      violations.push({ field: `${field}.type`, description: 'must be 1 to 64 of a-z, 0-9 and "_", a letter first' });
      return undefined;
    }
    if (key?.$case === 'hash') {
      if (key.value.length !== 16) {
        violations.push({ field: `${field}.hash`, description: `must be 16 bytes, is ${key.value.length}` });
      }
      return identifierKey(type, key.value);
    }
    const value = key?.value.trim() ?? '';
    if (value === '' || value.length > MAX_VALUE) {
      violations.push({ field: `${field}.value`, description: `must be 1 to ${MAX_VALUE} characters` });
      return undefined;
    }
    const values = this.values();
    const verdict = values.normalise(type, value);
    // What ingest drops belongs to nobody; asking for it is no error.
    return 'dropped' in verdict
      ? undefined
      : identifierKey(type, this.hasher.hash(type, values.matched(type, verdict.value)));
  }
}
