import type { Event as SentEvent } from '#gen/recur/ingest/v1/event.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import type { Json } from '../core/inspect.ts';
import type { Violations } from '../core/violations.ts';

const NAMES: Readonly<Record<string, string>> = {
  messageId: 'message_id',
  userId: 'user_id',
  anonymousId: 'anonymous_id',
  event: 'name',
  timestamp: 'time_ms',
  originalTimestamp: 'time_ms',
  previousId: 'previous_id',
  groupId: 'group_id',
  properties: 'properties_json',
  traits: 'traits_json',
  context: 'context_json',
};

/** A field as the Segment format names it, in proto names. */
export function protoField(field: string): string {
  if (field.startsWith('context.externalIds')) return field.replace('context.externalIds', 'external_ids');
  const [, head = '', rest = ''] = /^(\w*)(.*)$/s.exec(field) ?? [];
  return `${NAMES[head] ?? head}${rest}`;
}

/** The event as a message in the Segment format, which is what the normaliser reads. */
export function messageOf(sent: SentEvent, violations: Violations): Json | undefined {
  const before = violations.count;
  const context = parse(sent.contextJson, 'context', violations);
  const message: Json = {
    messageId: sent.messageId || undefined,
    userId: sent.userId || undefined,
    anonymousId: sent.anonymousId || undefined,
    timestamp: sent.timeMs === 0 ? undefined : sent.timeMs,
    properties: parse(sent.propertiesJson, 'properties', violations),
    traits: parse(sent.traitsJson, 'traits', violations),
    context: sent.externalIds.length === 0 ? context : { ...context, externalIds: sent.externalIds },
  };
  if (sent.type === EventType.EVENT_TYPE_TRACK) message.event = sent.name;
  else if (sent.name !== '') message.name = sent.name;
  if (sent.previousId !== '') message.previousId = sent.previousId;
  if (sent.groupId !== '') message.groupId = sent.groupId;
  return violations.count === before ? message : undefined;
}

function parse(json: Uint8Array, field: string, violations: Violations): Json | undefined {
  if (json.length === 0) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.length).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
    violations.add(field, value, 'must be a JSON object');
  } catch {
    violations.add(field, `${json.length} bytes`, 'must be a JSON object');
  }
  return undefined;
}
