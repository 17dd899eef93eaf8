import type { AnalyticsServiceService } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { unavailable } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { CommandsRpc } from './commands-rpc.ts';
import type { GraphRpc } from './graph-rpc.ts';
import type { TypesRpc } from './types-rpc.ts';

export type ChangesClient = Pick<RpcClient<typeof AnalyticsServiceService>, 'listIdentityChanges'>;

/** Which method is whose. */
export function identityRpc(
  graph: GraphRpc,
  commands: CommandsRpc,
  types: TypesRpc,
  analytics: ChangesClient | undefined,
): Handlers<typeof IdentityServiceService> {
  return {
    resolveIdentifiers: (request) => graph.resolveIdentifiers(request),
    getCustomerIdentity: (request) => graph.getCustomerIdentity(request),
    mergeCustomers: (request, call) => commands.merge(request, call),
    unmerge: (request, call) => commands.unmerge(request, call),
    listIdentityChanges: (request, call) => {
      if (analytics === undefined) {
        throw unavailable('The record of changes is kept by analytics: ANALYTICS_ADDR is not configured.');
      }
      return analytics.listIdentityChanges(request, { parent: call, deadlineMs: 10_000 });
    },
    createIdentifierType: (request, call) => types.create(request, call),
    getIdentifierType: (request) => types.get(request),
    listIdentifierTypes: (request) => types.list(request),
    updateIdentifierType: (request, call) => types.update(request, call),
    deleteIdentifierType: (request, call) => types.delete(request, call),
  };
}
