import { status } from '@grpc/grpc-js';
import { Event } from '#gen/recur/ingest/v1/event.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import type { Api } from '#tools/library/api.ts';
import { type BadCall, json, KB } from './bad-call.ts';

const { INVALID_ARGUMENT, FAILED_PRECONDITION, RESOURCE_EXHAUSTED } = status;

const event = (fields: Partial<Event>) =>
  Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name: 'Bad', userId: 'bad', ...fields } as never);
export const send = (fields: Partial<Event>) => (api: Api) =>
  api.ingest.sendEvent({ event: event(fields), sentAtMs: 0 });

export const EVENTS: readonly BadCall[] = [
  ['no event', (api) => api.ingest.sendEvent({ event: undefined, sentAtMs: 0 }), INVALID_ARGUMENT, /event: .*needed/],
  ['an event without a type', send({ type: EventType.EVENT_TYPE_UNSPECIFIED }), INVALID_ARGUMENT, /event\.type/],
  ['an event without a name', send({ name: '' }), INVALID_ARGUMENT, /event\.name/],
  ['an event of nobody', send({ userId: '' }), INVALID_ARGUMENT, /user_id|anonymous_id/],
  ['malformed properties', send({ propertiesJson: json('{"a":') }), INVALID_ARGUMENT, /event\.properties_json.*JSON/],
  [
    'properties that are a list',
    send({ propertiesJson: json('[]') }),
    INVALID_ARGUMENT,
    /event\.properties_json.*object/,
  ],
  [
    'properties 10,000 deep',
    send({ propertiesJson: json(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`) }),
    INVALID_ARGUMENT,
    /event\.properties_json.*32 deep/,
  ],
  ['a property __proto__', send({ propertiesJson: json('{"__proto__":{}}') }), INVALID_ARGUMENT, /__proto__/],
  ['NUL in a property', send({ propertiesJson: json('{"a":"\\u0000"}') }), INVALID_ARGUMENT, /properties_json\.a.*NUL/],
  [
    'a lone surrogate',
    send({ propertiesJson: json('{"a":"\\udfff"}') }),
    INVALID_ARGUMENT,
    /properties_json\.a.*surrogate/,
  ],
  ['NUL in an id', send({ userId: 'a\0b' }), INVALID_ARGUMENT, /event\.user_id.*NUL/],
  ['an event of 33 KB', send({ propertiesJson: json(`{"a":"${'x'.repeat(33 * KB)}"}`) }), INVALID_ARGUMENT, /32768/],
  ['a time in 1900', send({ timeMs: Date.UTC(1900, 0) }), INVALID_ARGUMENT, /event\.time_ms.*2000-01-01/],
  ['a time in 2100', send({ timeMs: Date.UTC(2100, 0) }), INVALID_ARGUMENT, /event\.time_ms.*24 hours/],
  ['a source with spaces', send({ source: 'my shop' }), INVALID_ARGUMENT, /event\.source.*63/],
  [
    'one bad event among good ones',
    (api) => api.ingest.sendEvents({ events: [event({}), event({ name: '' }), event({})], sentAtMs: 0 }),
    INVALID_ARGUMENT,
    /events\[1\]\.name/,
  ],
  ['no events', (api) => api.ingest.sendEvents({ events: [], sentAtMs: 0 }), INVALID_ARGUMENT, /at least one/],
  [
    '1,001 events',
    (api) => api.ingest.sendEvents({ events: Array(1_001).fill(event({})), sentAtMs: 0 }),
    INVALID_ARGUMENT,
    /events.*1001.*at most 1000/,
  ],
  [
    'a message of more than 4 MB',
    (api) => {
      const large = event({ propertiesJson: json(`{"a":"${'x'.repeat(30 * KB)}"}`) });
      return api.ingest.sendEvents({ events: Array(200).fill(large), sentAtMs: 0 });
    },
    RESOURCE_EXHAUSTED,
    /larger than max|4194304/,
  ],
  [
    'a bad event in a stream',
    (api) => api.ingest.streamEvents([{ events: [event({ name: '' })], sentAtMs: 0 }]),
    INVALID_ARGUMENT,
    /events\[0\]\.name/,
  ],
  ['the live clock moved', (api) => api.ingest.advanceClock({ timeMs: Date.now() }), FAILED_PRECONDITION, /live/],
];
