import type { IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { unavailable } from '#lib/rpc/errors.ts';
import type { CustomerLookup } from '../rpc/profile-handlers.ts';

export type IdentityClient = Pick<RpcClient<typeof IdentityServiceService>, 'resolveIdentifiers'>;

/** Asks identity whose identifier it is, in the name of the caller. */
export class GrpcCustomerLookup implements CustomerLookup {
  readonly #identity: IdentityClient | undefined;

  constructor(identity: IdentityClient | undefined) {
    this.#identity = identity;
  }

  async find({ type, value }: { type: string; value: string }, call: Call): Promise<string | undefined> {
    if (this.#identity === undefined) {
      throw unavailable('Customers cannot be found by identifier: IDENTITY_ADDR is not configured.');
    }
    const identifiers = [{ type, key: { $case: 'value' as const, value } }];
    const { results } = await this.#identity.resolveIdentifiers({ identifiers }, { parent: call, deadlineMs: 1_000 });
    return results[0]?.customerId || undefined;
  }
}
