import type { SegmentationServiceService } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { CustomersRpc } from './customers-rpc.ts';
import type { DefinitionsRpc } from './definitions-rpc.ts';
import type { MembersRpc } from './members-rpc.ts';

/** recur.segmentation.v1.SegmentationService: which part answers what. */
export function segmentationRpc(
  definitions: DefinitionsRpc,
  customers: CustomersRpc,
  members: MembersRpc,
): Handlers<typeof SegmentationServiceService> {
  return {
    createSegment: (request, call) => definitions.create(request, call),
    getSegment: (request) => definitions.get(request),
    listSegments: (request) => definitions.list(request),
    updateSegment: (request, call) => definitions.update(request, call),
    deleteSegment: (request, call) => definitions.delete(request, call),
    createCustomerList: (request, call) => definitions.createList(request, call),
    getCustomerList: (request) => definitions.getList(request),
    listCustomerLists: (request) => definitions.listLists(request),
    updateCustomerList: (request, call) => definitions.updateList(request, call),
    deleteCustomerList: (request, call) => definitions.deleteList(request, call),
    addListMembers: (request, call) => members.add(request, call),
    removeListMembers: (request, call) => members.remove(request, call),
    getRfmSettings: () => definitions.getRfm(),
    updateRfmSettings: (request, call) => definitions.updateRfm(request, call),
    getLifecycleSettings: () => definitions.getLifecycle(),
    updateLifecycleSettings: (request, call) => definitions.updateLifecycle(request, call),
    getHoldOutSettings: () => definitions.getHoldOut(),
    updateHoldOutSettings: (request, call) => definitions.updateHoldOut(request, call),
    listCustomerSegments: (request) => customers.listCustomerSegments(request),
    listSegmentMembers: (request, call) => customers.listSegmentMembers(request, call),
    evaluateSegment: (request, call) => customers.evaluateSegment(request, call),
    evaluateRfmSettings: (request, call) => customers.evaluateRfmSettings(request, call),
  };
}
