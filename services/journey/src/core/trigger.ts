import type { LiveRoomStart } from '#gen/recur/journey/v1/journey.ts';
import type { ClassChange } from '#gen/recur/log/v1/changes.ts';
import type { Occasion } from './compile.ts';
import { type Properties, parseObject } from './event/properties.ts';
import type { SeenEvent } from './event/seen.ts';

const MAX_BYTES = 2048;

/** What let a customer in, as conditions and templates see it later. */
export interface TriggerFacts {
  /** Name of the event; api: somebody asked; date, schedule, live_room: it was time. */
  event?: string;
  /** Event properties. */
  properties?: Properties;
  segment?: string;
  class?: { dimension: string; from: string; to: string };
}

/** Properties the journey's own conditions need (`needed`) are kept first, the others as far as they fit in 2 KB. */
export function eventTrigger(event: SeenEvent, needed: ReadonlySet<string>): Buffer {
  const name = event.isRequest ? 'api' : event.name;
  const whole = Buffer.from(JSON.stringify({ event: name, properties: event.properties }));
  if (whole.length <= MAX_BYTES) return whole;
  const kept: Properties = {};
  let bytes = JSON.stringify({ event: name, properties: {} }).length * 3;
  const names = Object.keys(event.properties);
  const first = names.filter((name) => needed.has(name));
  for (const name of [...first, ...names.filter((other) => !needed.has(other))]) {
    const value = event.properties[name];
    const size = Buffer.byteLength(JSON.stringify(name)) + Buffer.byteLength(JSON.stringify(value) ?? '') + 2;
    if (bytes + size > MAX_BYTES) continue;
    bytes += size;
    kept[name] = value;
  }
  return Buffer.from(JSON.stringify({ event: name, properties: kept }));
}

export function segmentTrigger(segment: string): Buffer {
  return Buffer.from(JSON.stringify({ segment }));
}

export function liveRoomTrigger({ roomId, propertiesJson }: LiveRoomStart): Buffer {
  const properties = { ...parseObject(propertiesJson), room_id: roomId };
  return Buffer.from(JSON.stringify({ event: 'live_room', properties }));
}

/** The date itself may be personal, so it is not told. */
export function occasionTrigger(occasion: Exclude<Occasion, { is: 'live_room' }>): Buffer {
  const properties = occasion.is === 'date' ? { trait: occasion.trait } : { festival: occasion.festival };
  return Buffer.from(JSON.stringify({ event: occasion.is, properties }));
}

export function classTrigger({ dimension, from, to }: ClassChange): Buffer {
  return Buffer.from(JSON.stringify({ class: { dimension, from, to } }));
}

export function readTrigger(json: Uint8Array): TriggerFacts {
  return parseObject(json) as TriggerFacts;
}
