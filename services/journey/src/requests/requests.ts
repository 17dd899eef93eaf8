import { status } from '@grpc/grpc-js';
import type { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { type Journey, JourneyStatus, type LiveRoomStart } from '#gen/recur/journey/v1/journey.ts';
import type {
  BroadcastRequest,
  BroadcastResponse,
  EnrolCustomersRequest,
  EnrolCustomersResponse,
  StartLiveRoomRequest,
  StartLiveRoomResponse,
} from '#gen/recur/journey/v1/service.ts';
import type { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { failedPrecondition, invalidArgument, unavailable } from '#lib/rpc/errors.ts';
import type { Write } from '../store/journey-store.ts';
import type { Request, RequestWriter } from './request-writer.ts';

const MAX_CUSTOMERS = 100;
const MAX_PROPERTIES = 2_048;
const DEFAULT_PER_SECOND = 500;
const MAX_PER_SECOND = 10_000;
const MAX_PAGE = 1_000;

/** What letting in by request needs of the world. */
export interface RequestParts {
  readonly journey: (id: string) => Promise<Journey>;
  readonly writer: RequestWriter;
  /** Tells all journeys that a live room started. @returns ids of those it starts */
  readonly liveRoom: (start: Omit<LiveRoomStart, 'number'>, write: Write) => Promise<string[]>;
  readonly clock: 'live' | 'event';
  readonly now: () => number;
  /** Undefined: not configured. */
  readonly identity: RpcClient<typeof IdentityServiceClient.service> | undefined;
  readonly segmentation: RpcClient<typeof SegmentationServiceClient.service> | undefined;
}

type Asked = Pick<EnrolCustomersRequest, 'journeyId' | 'properties' | 'requestId' | 'timeMs'>;

/** Customers whom somebody asks a journey to let in: one by one, or a whole segment. */
export class Requests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  async startLiveRoom(request: StartLiveRoomRequest, call: Call): Promise<StartLiveRoomResponse> {
    const { roomId, requestId } = request;
    check(roomId !== '' && roomId.length <= 100, 'room_id', 'must be 1 to 100 characters');
    const { propertiesJson, timeMs } = this.#bounded(request);
    const asked = Buffer.from(JSON.stringify(['live_room', roomId, propertiesJson.toString()]));
    const write = { requestId, asked, author: call.principal.name };
    return { journeyIds: await this.#parts.liveRoom({ roomId, propertiesJson, timeMs }, write) };
  }

  async enrol(request: EnrolCustomersRequest, call: Call): Promise<EnrolCustomersResponse> {
    const { customerIds } = request;
    check(
      customerIds.length >= 1 && customerIds.length <= MAX_CUSTOMERS,
      'customer_ids',
      `must be 1 to ${MAX_CUSTOMERS}`,
    );
    const asked = await this.#asked(request);
    await this.#known(customerIds, call);
    await this.#parts.writer.write(asked, customerIds);
    return {};
  }

  async *broadcast(request: BroadcastRequest, call: Call): AsyncGenerator<BroadcastResponse> {
    const { segmentId } = request;
    const perSecond = request.perSecond || DEFAULT_PER_SECOND;
    check(perSecond <= MAX_PER_SECOND, 'per_second', `must be 1 to ${MAX_PER_SECOND}, or 0 for ${DEFAULT_PER_SECOND}`);
    check(segmentId !== '', 'segment_id', 'is missing');
    const asked = await this.#asked(request);
    const { segmentation, writer } = this.#parts;
    if (!segmentation)
      throw unavailable('Members of segments are known to segmentation: SEGMENTATION_ADDR is not configured.');
    const pageSize = Math.min(MAX_PAGE, perSecond);
    const begun = performance.now();
    let count = 0;
    for (let pageToken = ''; ; ) {
      const page = await segmentation.listSegmentMembers({ segmentId, pageSize, pageToken }, { parent: call });
      const customerIds = page.members.map((member) => member.customerId);
      await writer.write(asked, customerIds);
      count += customerIds.length;
      pageToken = page.nextPageToken;
      yield { asked: count, done: pageToken === '' };
      if (pageToken === '') return;
      await pause(begun + (count / perSecond) * 1_000 - performance.now(), call.signal);
    }
  }

  async #asked({ journeyId, ...rest }: Asked): Promise<Request> {
    const bounded = this.#bounded(rest);
    const { definition, status: at } = await this.#parts.journey(journeyId);
    if (definition?.trigger?.kind?.$case !== 'api') {
      throw failedPrecondition(`journey "${journeyId}": its trigger is not api, so nobody can be asked in`);
    }
    if (at !== JourneyStatus.JOURNEY_STATUS_ACTIVE) {
      throw failedPrecondition(`journey "${journeyId}": it is not active, start or resume it`);
    }
    return { journeyId, ...bounded };
  }

  /** Checks what all calls have in common. */
  #bounded({ properties, requestId, timeMs }: Omit<Asked, 'journeyId'>): Omit<Request, 'journeyId'> {
    const { clock, now } = this.#parts;
    check(/^[\x21-\x7e]{1,64}$/.test(requestId), 'request_id', 'must be 1 to 64 printable characters without spaces');
    const propertiesJson = Buffer.from(JSON.stringify(properties ?? {}));
    check(propertiesJson.length <= MAX_PROPERTIES, 'properties', `must be at most ${MAX_PROPERTIES} bytes of JSON`);
    if (clock === 'live') check(timeMs === 0, 'time_ms', 'must be 0: this cluster runs on the live clock');
    else
      check(timeMs > 0 && timeMs < 4e12, 'time_ms', 'must say when it happens: this cluster runs on the event clock');
    return { requestId, propertiesJson, timeMs: clock === 'live' ? now() : timeMs };
  }

  async #known(customerIds: readonly string[], call: Call): Promise<void> {
    const { identity } = this.#parts;
    if (!identity) throw unavailable('Customers are known to identity: IDENTITY_ADDR is not configured.');
    const isKnown = async (customerId: string): Promise<boolean> => {
      if (customerId === '' || customerId.length > 128) return false;
      try {
        await identity.getCustomerIdentity({ customerId }, { parent: call });
        return true;
      } catch (error) {
        if ((error as { code?: number }).code === status.NOT_FOUND) return false;
        throw error;
      }
    };
    const known = await Promise.all(customerIds.map(isKnown));
    const violations = customerIds.flatMap((id, i) =>
      known[i] ? [] : [{ field: `customer_ids[${i}]`, description: `there is no customer "${id.slice(0, 60)}"` }],
    );
    if (violations.length > 0) throw invalidArgument(violations);
  }
}

function check(holds: boolean, field: string, description: string): void {
  if (!holds) throw invalidArgument([{ field, description }]);
}

/** Ends early, with an error, when the caller does not wait any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', stop);
        resolve();
      },
      Math.max(ms, 0),
    );
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
