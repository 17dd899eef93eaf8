import { type Event, EventType } from '#gen/recur/log/v1/event.ts';

/** What conditions and templates may read of an event, by name. */
export type Properties = Record<string, unknown>;

const MAX_DEPTH = 8;
const MAX_LISTED = 50;

/**
 * The event's properties with what ingest lifted out of them put back under one agreed name each (see PropertyCondition).
 * An empty object when the JSON cannot be read.
 */
export function propertiesOf(event: Event): Properties {
  const properties = parseObject(event.propertiesJson);
  if (event.type === EventType.EVENT_TYPE_PAGE || event.type === EventType.EVENT_TYPE_SCREEN)
    properties.name = event.name;
  properties.source = event.source;
  const commerce = event.commerce;
  if (commerce === undefined) return properties;
  if (commerce.orderId !== '') properties.order_id = commerce.orderId;
  if (commerce.currency !== '') properties.currency = commerce.currency;
  if (commerce.coupon !== '') properties.coupon = commerce.coupon;
  properties.amount = commerce.amountMicros / 1e6;
  const lines = commerce.lines.slice(0, MAX_LISTED);
  if (lines.length === 0) return properties;
  properties.quantity = commerce.lines.reduce((sum, line) => sum + line.quantity, 0);
  properties.product_ids = [...new Set(lines.map((line) => line.productId))];
  properties.categories = [...new Set(lines.map((line) => line.category).filter((category) => category !== ''))];
  return properties;
}

export function parseObject(json: Uint8Array): Properties {
  if (json.length === 0) return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString());
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Properties) : {};
  } catch {
    return {};
  }
}

/** Value at a path ("cart.total"); own properties only. A property whose name contains dots is found as well. */
export function propertyAt(properties: Properties, path: string): unknown {
  if (Object.hasOwn(properties, path)) return properties[path];
  let value: unknown = properties;
  for (const part of path.split('.', MAX_DEPTH)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Properties)[part];
  }
  return value;
}
