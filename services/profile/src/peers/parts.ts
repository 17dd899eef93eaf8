import { status } from '@grpc/grpc-js';
import type { AnalyticsServiceService } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { JourneyServiceService } from '#gen/recur/journey/v1/service.ts';
import type { MessagingServiceService } from '#gen/recur/messaging/v1/messaging_service.ts';
import type { MissingPart, Profile } from '#gen/recur/profile/v1/profile.ts';
import type { SegmentationServiceService } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import type { PeerField } from '../core/read-mask.ts';
import type { PeerParts } from '../rpc/profile-handlers.ts';

/** What others do not say within this time is missing. */
const DEADLINE_MS = 300;
const MESSAGES = 20;
const EVENTS = 20;

export interface PeerClients {
  readonly segmentation?: Pick<RpcClient<typeof SegmentationServiceService>, 'listCustomerSegments'> | undefined;
  readonly journey?: Pick<RpcClient<typeof JourneyServiceService>, 'listEnrolments'> | undefined;
  readonly analytics?: Pick<RpcClient<typeof AnalyticsServiceService>, 'listCustomerEvents'> | undefined;
  readonly messaging?: Pick<RpcClient<typeof MessagingServiceService>, 'listMessages'> | undefined;
}

type Part = Partial<Profile>;
const SEGMENTATION_FIELDS: readonly PeerField[] = ['segments', 'rfm', 'lifecycle'];

/** Asks segmentation, journey and messaging at the same time. */
export class GrpcPeerParts implements PeerParts {
  readonly #clients: PeerClients;

  constructor(clients: PeerClients) {
    this.#clients = clients;
  }

  async get(
    customerId: string,
    fields: ReadonlySet<PeerField>,
    call: Call,
  ): Promise<Part & { missing: MissingPart[] }> {
    const settings = { parent: call, deadlineMs: DEADLINE_MS };
    const { segmentation, journey, messaging, analytics } = this.#clients;
    const ofSegmentation = SEGMENTATION_FIELDS.filter((field) => fields.has(field));
    const missing: MissingPart[] = [];
    const ask = async (
      service: string,
      wanted: readonly PeerField[],
      answer: Promise<Part> | undefined,
    ): Promise<Part> => {
      try {
        if (answer === undefined) throw new Error('its address is not configured');
        return await answer;
      } catch (error) {
        // Never seen there: nothing to tell, and nothing missing.
        if (!(error instanceof RpcError && error.code === status.NOT_FOUND)) {
          for (const field of wanted) missing.push({ field, reason: `${service}: ${reasonOf(error)}` });
        }
        return {};
      }
    };
    const asked: Promise<Part>[] = [];
    if (ofSegmentation.length > 0) {
      const answer = segmentation?.listCustomerSegments({ customerId }, settings).then(
        (found): Part => ({
          ...(fields.has('segments') && { segments: found.segments }),
          ...(fields.has('rfm') && { rfm: found.rfm }),
          ...(fields.has('lifecycle') && { lifecycle: found.lifecycle }),
        }),
      );
      asked.push(ask('segmentation', ofSegmentation, answer));
    }
    if (fields.has('journeys')) {
      const answer = journey?.listEnrolments({ customerId, journeyId: '' }, settings);
      asked.push(
        ask(
          'journey',
          ['journeys'],
          answer?.then(({ enrolments }) => ({ journeys: enrolments })),
        ),
      );
    }
    if (fields.has('messages')) {
      const answer = messaging?.listMessages({ customerId, pageSize: MESSAGES, pageToken: '' }, settings);
      asked.push(
        ask(
          'messaging',
          ['messages'],
          answer?.then(({ messages }) => ({ messages })),
        ),
      );
    }
    if (fields.has('timeline')) {
      const answer = analytics?.listCustomerEvents(
        { customerId, pageSize: EVENTS, pageToken: '', names: [] },
        settings,
      );
      asked.push(
        ask(
          'analytics',
          ['timeline'],
          answer?.then(({ events }) => ({ timeline: events })),
        ),
      );
    }
    const parts = await Promise.all(asked);
    return Object.assign({}, ...parts, { missing });
  }
}

/** Errors of other services may quote what was asked: only the kind is passed on. */
function reasonOf(error: unknown): string {
  if (error instanceof RpcError) return (status[error.code] ?? 'UNKNOWN').toLowerCase().replaceAll('_', ' ');
  return error instanceof Error ? error.message : 'failed';
}
