import type { JetStreamClient } from '@nats-io/jetstream';
import type { Redis } from 'ioredis';
import type * as api from '#gen/recur/identity/v1/identity_service.ts';
import { CommandOutcome } from '#gen/recur/identity/v1/state.ts';
import { MergeCommand, UnmergeCommand } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Call } from '#lib/rpc/call.ts';
import {
  deadlineExceeded,
  type FieldViolation,
  failedPrecondition,
  invalidArgument,
  notFound,
  type RpcError,
  unavailable,
} from '#lib/rpc/errors.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { outcomeKey } from '../processor-control.ts';

const CUSTOMER_ID = /^[0-9A-Za-z_-]{1,64}$/;
const REQUEST_ID = /^[\x21-\x7e]{1,64}$/;
const MAX_REASON = 200;
const POLL_MS = 20;

/** What people decide about customers goes through the lane, like events: one order, one decider. */
export class CommandsRpc {
  readonly #js: JetStreamClient;
  readonly #redis: Redis;
  readonly #tag: string;

  constructor(js: JetStreamClient, redis: Redis, tag: string) {
    this.#js = js;
    this.#redis = redis;
    this.#tag = tag;
  }

  async merge(request: api.MergeCustomersRequest, call: Call): Promise<api.MergeCustomersResponse> {
    const { customerId, otherCustomerId, reason, requestId } = request;
    refuse([
      ...badId('customer_id', customerId),
      ...badId('other_customer_id', otherCustomerId),
      ...badText(reason, requestId),
      ...(reason === '' ? [{ field: 'reason', description: 'must be set' }] : []),
    ]);
    const body = MergeCommand.encode({ requestId, customerId, otherCustomerId, reason }).finish();
    const outcome = await this.#decided(requestId, RecordKind.RECORD_KIND_MERGE_COMMAND, body, call);
    return { customerId: outcome.customerId };
  }

  async unmerge({ customerId, reason, requestId }: api.UnmergeRequest, call: Call): Promise<api.UnmergeResponse> {
    refuse([...badId('customer_id', customerId), ...badText(reason, requestId)]);
    const body = UnmergeCommand.encode({ requestId, customerId, reason }).finish();
    const outcome = await this.#decided(requestId, RecordKind.RECORD_KIND_UNMERGE_COMMAND, body, call);
    const { otherCustomerId, events, movedEvents } = outcome;
    return { customerId: outcome.customerId, otherCustomerId, events, movedEvents };
  }

  async #decided(requestId: string, kind: RecordKind, body: Uint8Array, call: Call): Promise<CommandOutcome> {
    const key = this.#tag + outcomeKey(requestId);
    if ((await this.#redis.exists(key)) === 0) await this.#publish(requestId, kind, body);
    for (;;) {
      const bytes = await this.#redis.getBuffer(key);
      if (bytes) return accepted(CommandOutcome.decode(bytes));
      if (call.signal.aborted || call.deadlineMs - Date.now() < POLL_MS * 2) throw deadlineExceeded();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #publish(requestId: string, kind: RecordKind, body: Uint8Array): Promise<void> {
    const record = { customerId: '', kind, timeMs: 0, originSeq: 0, originIndex: 0, fromTimer: false, body };
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [record] });
    try {
      await this.#js.publish(subjects.ingest(LANE), frame, { msgID: `command.${requestId}`, timeout: 5_000 });
    } catch (cause) {
      throw unavailable('The log does not answer: repeat with the same request_id.', { cause, retryAfterMs: 1_000 });
    }
  }
}

function accepted(outcome: CommandOutcome): CommandOutcome {
  if (outcome.refusal !== '') throw refused(outcome.refusal);
  return outcome;
}

/** Why the lane would not, in words for the caller. */
function refused(refusal: string): RpcError {
  const [rule = '', about = ''] = refusal.split(': ');
  switch (rule) {
    case 'not_found':
      return notFound(`customer "${about}"`);
    case 'not_merged':
      return failedPrecondition(`Customer "${about}" is not merged into another one.`);
    case 'inseparable': {
      const [taken, from] = about.split(' ');
      return failedPrecondition(
        `Without the merge, too, all events of customer "${taken}" are those of "${from}", by the identifiers they name.`,
      );
    }
    case 'incomplete':
      return failedPrecondition(
        `The log no longer holds the first events of ${about.split(' ').slice(0, 5).join(', ')}: what they would be without the ` +
          'merge cannot be told. LOG_MAX_AGE_HOURS and LOG_MAX_BYTES say how long it reaches back.',
      );
    case 'too_many':
      return failedPrecondition(`They have more than ${about} events together: too many to be read again.`);
    default:
      return failedPrecondition(`The two may not become one: ${rule}.`);
  }
}

function badId(field: string, id: string): FieldViolation[] {
  if (CUSTOMER_ID.test(id)) return [];
  return [{ field, description: 'must be a customer id: 1 to 64 letters, digits, "_" or "-"' }];
}

function badText(reason: string, requestId: string): FieldViolation[] {
  const wrong: FieldViolation[] = [];
  if (reason.length > MAX_REASON) {
    wrong.push({ field: 'reason', description: `must be at most ${MAX_REASON} characters, has ${reason.length}` });
  }
  if (!REQUEST_ID.test(requestId)) {
    wrong.push({ field: 'request_id', description: 'must be 1 to 64 printable ASCII characters' });
  }
  return wrong;
}

function refuse(violations: readonly FieldViolation[]): void {
  if (violations.length > 0) throw invalidArgument(violations);
}
