import { IdentityChange, LinkRefused, Merged } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { customerId } from './customer-id.ts';
import type { EventKeys, IdentifierKey } from './event-keys.ts';
import type { Decision, Graph, Refusal } from './graph.ts';

/** An event of a lane with its place there. */
export interface LaneEvent {
  readonly seq: number;
  readonly index: number;
  readonly body: Uint8Array;
  readonly keys: EventKeys;
  /** The cluster's clock at this event: the lane's on the live clock, the watermark on the event clock. */
  readonly now: number;
}

/** A record for the partition of its customer. */
export interface Resolved {
  readonly seq: number;
  readonly index: number;
  readonly now: number;
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
}

/** Resolves events in order: for each the changes it makes to the graph, then the event itself under its customer. */
export function resolve(events: readonly LaneEvent[], graph: Graph): Resolved[] {
  const out: Resolved[] = [];
  for (const event of events) {
    const { seq, index, now, body, keys } = event;
    if (keys.customerId !== '') {
      const id = graph.current(keys.customerId);
      // Nobody, any more: what was worked out about them goes nowhere.
      if (id !== undefined) out.push({ seq, index, now, customerId: id, kind: RecordKind.RECORD_KIND_EVENT, body });
      continue;
    }
    const decision = graph.decide(keys.identifiers, () => customerId(now, keys.source, keys.messageId));
    const add = (id: string, kind: RecordKind, bytes: Uint8Array) =>
      out.push({ seq, index, now, customerId: id, kind, body: bytes });
    const { created, linked } = decision;
    if (created !== '' && created !== decision.customerId) {
      add(created, RecordKind.RECORD_KIND_IDENTITY, madeOnly(keys.messageId));
    }
    for (const { from, into, identifier } of decision.merges) {
      const merged = Merged.fromPartial({
        into,
        messageId: keys.messageId,
        identifierType: identifier?.type ?? '',
        identifierHash: identifier && Buffer.from(identifier.hash),
        identified: decision.identified,
      });
      add(from, RecordKind.RECORD_KIND_MERGED, Merged.encode(merged).finish());
    }
    if (created === decision.customerId || linked.length > 0) {
      add(decision.customerId, RecordKind.RECORD_KIND_IDENTITY, changeOf(decision, keys.messageId));
    }
    for (const refusal of decision.refused) {
      add(decision.customerId, RecordKind.RECORD_KIND_REFUSED, refusalOf(refusal, keys.messageId));
    }
    add(decision.customerId, RecordKind.RECORD_KIND_EVENT, body);
  }
  return out;
}

export function changeOf(decision: Decision, messageId: string): Uint8Array {
  const linked = decision.linked.map(({ type, hash }) => ({ type, hash: Buffer.from(hash) }));
  const { identified, anchor } = decision;
  const created = decision.created === decision.customerId;
  return IdentityChange.encode({ created, linked, messageId, identified, anchor: anchor ? told(anchor) : '' }).finish();
}

/** Of a customer that is merged by the event that makes it. */
function madeOnly(messageId: string): Uint8Array {
  return IdentityChange.encode(IdentityChange.fromPartial({ created: true, messageId })).finish();
}

function refusalOf({ identifier, owner, rule }: Refusal, messageId: string): Uint8Array {
  const { type, hash } = identifier;
  const refused = { identifier: { type, hash: Buffer.from(hash) }, otherCustomerId: owner, rule, messageId };
  return LinkRefused.encode(refused).finish();
}

function told({ type, hash }: IdentifierKey): string {
  return `${type}:${Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('hex')}`;
}
