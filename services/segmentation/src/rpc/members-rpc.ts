import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { CustomerList } from '#gen/recur/segmentation/v1/segment.ts';
import type * as api from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { type FieldViolation, invalidArgument, unavailable } from '#lib/rpc/errors.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { listTrait } from '../core/lists.ts';
import type { States } from '../store/states.ts';

/** The client of identity; ends with its module. */
export class Identity {
  /** Undefined: not configured. */
  readonly client: RpcClient<(typeof IdentityServiceClient)['service']> | undefined;

  constructor(addr: string | undefined) {
    this.client = addr === undefined ? undefined : createClient(IdentityServiceClient, addr);
  }

  /** Nest's hook. */
  onModuleDestroy(): void {
    this.client?.close();
  }
}

const MAX_MEMBERS = 1_000;
const MAX_CUSTOMER_ID = 128;
/** Customers a frame. */
const FRAME = 500;

export interface MembersParts {
  readonly lists: DefinitionStore<CustomerList>;
  readonly states: States;
  readonly nats: NatsConnection;
  /** Undefined: not configured. */
  readonly identity: Identity['client'];
}

type Request = Pick<api.AddListMembersRequest, 'listId' | 'members' | 'requestId'>;

/**
 * Who is on a list is told as a derived event that sets a trait, by the way of every event: identity says who the customer is now
 * and drops message ids it has seen, so a request that is repeated changes nothing; merges, unmerges and rebuilds find it there.
 */
export class MembersRpc {
  readonly #parts: MembersParts;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  add(request: Request, call: Call): Promise<api.AddListMembersResponse> {
    return this.#change(request, 'add', call);
  }

  remove(request: Request, call: Call): Promise<api.RemoveListMembersResponse> {
    return this.#change(request, 'remove', call);
  }

  async #change({ listId, members, requestId }: Request, what: 'add' | 'remove', call: Call) {
    const wrong = check(members, requestId);
    if (wrong.length > 0) throw invalidArgument(wrong);
    const { createTimeMs } = await this.#parts.lists.get(listId);
    const found = await this.#customers(members, call);
    const unknown = found.flatMap((id, i) => (id === '' ? [i] : []));
    // A customer who was merged is told by the id they were asked for with: when the merge is taken back, it is theirs.
    const named = members.flatMap(({ key }, i) => {
      const id = key?.$case === 'customerId' ? key.value : (found[i] as string);
      return found[i] === '' ? [] : [id];
    });
    const timeMs = await this.#parts.states.clock();
    const trait = { name: listTrait(listId), json: Buffer.from(what === 'add' ? String(createTimeMs) : 'null') };
    const prefix = `list/${listId}/${what}/${requestId}`;
    await this.#write(
      [...new Set(named)].map((id) => eventOf(id, `${prefix}/${id}`, trait, timeMs)),
      timeMs,
    );
    return { customers: new Set(found.filter((id) => id !== '')).size, unknown };
  }

  /** Who is meant at each place; empty: nobody known. */
  async #customers(members: readonly api.MemberKey[], call: Call): Promise<string[]> {
    const ids = members.map(({ key }) => (key?.$case === 'customerId' ? key.value : ''));
    const known = await this.#parts.states.getMany(ids.filter((id) => id !== ''));
    const identifiers = members.flatMap(({ key }) => (key?.$case === 'identifier' ? [key.value] : []));
    const { identity } = this.#parts;
    if (identifiers.length > 0 && identity === undefined) {
      throw unavailable('Whose an identifier is says identity: IDENTITY_ADDR is not configured.');
    }
    const results =
      identifiers.length > 0 ? (await identity?.resolveIdentifiers({ identifiers }, { parent: call }))?.results : [];
    let [nextId, nextIdentifier] = [0, 0];
    return ids.map((id) =>
      id === '' ? (results?.[nextIdentifier++]?.customerId ?? '') : (known[nextId++]?.customerId ?? ''),
    );
  }

  async #write(bodies: readonly Buffer[], timeMs: number): Promise<void> {
    const js = jetstream(this.#parts.nats);
    for (let from = 0; from < bodies.length; from += FRAME) {
      const kind = RecordKind.RECORD_KIND_EVENT;
      const records = bodies.slice(from, from + FRAME).map((body) => ({ kind, timeMs, body }));
      await js.publish(subjects.ingest(LANE), Frame.encode(Frame.fromPartial({ records })).finish());
    }
  }
}

function eventOf(customerId: string, messageId: string, trait: { name: string; json: Buffer }, timeMs: number): Buffer {
  const event = Event.fromPartial({
    ...{ messageId, type: EventType.EVENT_TYPE_DERIVED, timeMs, receivedAtMs: timeMs, source: 'segmentation' },
    identifiers: [{ type: '$customer', hash: Buffer.from(customerId) }],
    traits: [trait],
  });
  return Buffer.from(Event.encode(event).finish());
}

function check(members: readonly api.MemberKey[], requestId: string): FieldViolation[] {
  const wrong: FieldViolation[] = [];
  if (!/^[\x21-\x7e]{1,64}$/.test(requestId)) {
    wrong.push({ field: 'request_id', description: 'must be 1 to 64 printable characters without spaces' });
  }
  if (members.length < 1 || members.length > MAX_MEMBERS) {
    wrong.push({ field: 'members', description: `must have 1 to ${MAX_MEMBERS} entries, has ${members.length}` });
    return wrong;
  }
  members.forEach(({ key }, i) => {
    if (key === undefined) {
      wrong.push({ field: `members[${i}]`, description: 'must have a customer_id or an identifier' });
    } else if (key.$case === 'customerId' && (key.value === '' || key.value.length > MAX_CUSTOMER_ID)) {
      wrong.push({ field: `members[${i}].customer_id`, description: `must have 1 to ${MAX_CUSTOMER_ID} characters` });
    }
  });
  return wrong.slice(0, 20);
}
