import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Metric } from '#gen/recur/analytics/v1/metric.ts';
import { Event } from '#gen/recur/ingest/v1/event.ts';
import { Journey } from '#gen/recur/journey/v1/journey.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { RpcError } from '#lib/rpc/errors.ts';
import { type Api, closeApi, connectApi } from '#tools/library/api.ts';
import type { ShopCluster } from './shop-cluster.ts';
import { watchState } from './unchanged.ts';

type BadCall = readonly [what: string, call: (api: Api) => Promise<unknown>, code: status, says: RegExp];

const {
  INVALID_ARGUMENT,
  NOT_FOUND,
  ALREADY_EXISTS,
  ABORTED,
  FAILED_PRECONDITION,
  RESOURCE_EXHAUSTED,
  UNAUTHENTICATED,
} = status;
const KB = 1024;
const NOBODY = '01ZZZZZZZZZZZZZZZZZZZZZZZZ';

const event = (fields: Partial<Event>) =>
  Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name: 'Bad', userId: 'bad', ...fields } as never);
const send = (fields: Partial<Event>) => (api: Api) => api.ingest.sendEvent({ event: event(fields), sentAtMs: 0 });
const json = (text: string) => Buffer.from(text);

const EVENTS: readonly BadCall[] = [
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

const CUSTOMERS: readonly BadCall[] = [
  [
    'nobody to resolve',
    (api) => api.identity.resolveIdentifiers({ identifiers: [] }),
    INVALID_ARGUMENT,
    /identifiers.*1 to 1000.*0/,
  ],
  [
    'an identifier of no type',
    (api) =>
      api.identity.resolveIdentifiers({ identifiers: [{ type: 'E Mail', key: { $case: 'value', value: 'x' } }] }),
    INVALID_ARGUMENT,
    /identifiers\[0\]\.type/,
  ],
  [
    'a hash of another length',
    (api) =>
      api.identity.resolveIdentifiers({
        identifiers: [{ type: 'email', key: { $case: 'hash', value: Buffer.alloc(5) } }],
      }),
    INVALID_ARGUMENT,
    /identifiers\[0\]\.hash.*16.*5/,
  ],
  [
    'an id that is a path',
    (api) => api.identity.getCustomerIdentity({ customerId: '../x' }),
    INVALID_ARGUMENT,
    /customer_id/,
  ],
  ['an unknown id', (api) => api.identity.getCustomerIdentity({ customerId: NOBODY }), NOT_FOUND, /01ZZ/],

  [
    'GetProfile of none',
    (api) => api.profile.getProfile({ customer: undefined, readMask: undefined }),
    INVALID_ARGUMENT,
    /customer/,
  ],
  ['GetProfile of ""', getProfile(''), INVALID_ARGUMENT, /customer_id.*required/],
  ['GetProfile of 129 characters', getProfile('x'.repeat(129)), INVALID_ARGUMENT, /customer_id.*129.*128/],
  ['GetProfile with NUL', getProfile('a\0b'), NOT_FOUND, /customer/],
  ['GetProfile of a Redis pattern', getProfile('*'), NOT_FOUND, /customer/],
  ['GetProfile of an unknown id', getProfile(NOBODY), NOT_FOUND, /customer/],
  ['GetProfile of a bad type', getProfileBy('E Mail', 'x'), INVALID_ARGUMENT, /identifier\.type/],
  ['GetProfile of an empty value', getProfileBy('email', ''), INVALID_ARGUMENT, /identifier\.value/],
  ['GetProfile by an unknown address', getProfileBy('email', 'nobody@example.com'), NOT_FOUND, /identifier|customer/],
  ['GetProfile of unknown fields', getProfile(NOBODY, ['password']), INVALID_ARGUMENT, /read_mask.*"password"/],
  ['BatchGetProfiles of none', batchGet([]), INVALID_ARGUMENT, /customer_ids.*required/],
  ['BatchGetProfiles of 1,001', batchGet(Array(1_001).fill('x')), INVALID_ARGUMENT, /customer_ids.*1001/],
  ['BatchGetProfiles with an empty id', batchGet(['x', '']), INVALID_ARGUMENT, /customer_ids\[1\]/],
  ['ListEvents of ""', listEvents({ customerId: '' }), INVALID_ARGUMENT, /customer_id/],
  ['ListEvents, 501 a page', listEvents({ pageSize: 501 }), INVALID_ARGUMENT, /page_size.*501/],
  ['ListEvents, -1 a page', listEvents({ pageSize: -1 }), INVALID_ARGUMENT, /page_size.*-1/],
  ['ListEvents, a page of somebody else', listEvents({ pageToken: "' OR 1=1 --" }), INVALID_ARGUMENT, /page_token/],
  ['ListEvents of 21 names', listEvents({ names: Array(21).fill('x') }), INVALID_ARGUMENT, /names.*21/],
  ['ListEvents before 1970', listEvents({ beforeMs: -1 }), INVALID_ARGUMENT, /before_ms.*-1/],

  [
    'ListEnrolments of ""',
    (api) => api.journey.listEnrolments({ customerId: '', journeyId: '' }),
    INVALID_ARGUMENT,
    /customer_id/,
  ],
  ['ListMessages of ""', listMessages({ customerId: '' }), INVALID_ARGUMENT, /customer_id/],
  ['ListMessages of an unknown id', listMessages({}), NOT_FOUND, /01ZZ/],
  ['ListMessages, page "x"', listMessages({ pageToken: 'x' }), INVALID_ARGUMENT, /page_token/],
  ['ListMessages, 51 a page', listMessages({ pageSize: 51 }), INVALID_ARGUMENT, /page_size/],
  [
    'ListCustomerSegments of ""',
    (api) => api.segmentation.listCustomerSegments({ customerId: '' }),
    INVALID_ARGUMENT,
    /customer_id/,
  ],
  [
    'ListCustomerSegments of an unknown id',
    (api) => api.segmentation.listCustomerSegments({ customerId: NOBODY }),
    NOT_FOUND,
    /01ZZ/,
  ],
];

const segment = (id: string, rule: Partial<Rule> | undefined) => (api: Api) =>
  api.segmentation.createSegment({
    segment: Segment.fromPartial({ id, ...(rule && { rule: Rule.fromPartial(rule as never) }) }),
    requestId: '',
  });
const nested = (depth: number): Partial<Rule> =>
  depth === 0 ? { identified: true } : { not: Rule.fromPartial(nested(depth - 1) as never) };

const SEGMENTS: readonly BadCall[] = [
  [
    'no segment',
    (api) => api.segmentation.createSegment({ segment: undefined, requestId: '' }),
    INVALID_ARGUMENT,
    /segment/,
  ],
  ['a segment with a bad id', segment('Big Spenders', { identified: true }), INVALID_ARGUMENT, /id.*63/],
  ['a segment without a rule', segment('bad', undefined), INVALID_ARGUMENT, /rule/],
  ['an empty rule', segment('bad', {}), INVALID_ARGUMENT, /rule.*exactly one/],
  [
    'a rule that is two',
    segment('bad', { identified: true, segment: 'buyers' }),
    INVALID_ARGUMENT,
    /rule.*exactly one.*identified and segment/,
  ],
  [
    'a window of no days',
    segment('bad', { event: { name: 'x', days: 0 } } as never),
    INVALID_ARGUMENT,
    /rule\.event\.days.*0/,
  ],
  [
    'a window of 401 days',
    segment('bad', { event: { name: 'x', days: 401 } } as never),
    INVALID_ARGUMENT,
    /rule\.event\.days.*401/,
  ],
  ['an event without a name', segment('bad', { event: { name: '' } } as never), INVALID_ARGUMENT, /rule\.event\.name/],
  [
    'bounds that no number meets',
    segment('bad', { orders: { count: { atLeast: 5, atMost: 2 } } } as never),
    INVALID_ARGUMENT,
    /rule\.orders\.count/,
  ],
  [
    'a bound that is no number',
    segment('bad', { orders: { count: { atLeast: Number.NaN } } } as never),
    INVALID_ARGUMENT,
    /rule\.orders\.count/,
  ],
  ['an unknown class', segment('bad', { rfm: { in: ['best'] } } as never), INVALID_ARGUMENT, /rule\.rfm\.in.*best/],
  [
    'a share of nobody',
    segment('bad', { bucket: { salt: 's', fromPercent: 50, toPercent: 10 } } as never),
    INVALID_ARGUMENT,
    /rule\.bucket/,
  ],
  [
    'a segment of nobody knows what',
    segment('bad', { segment: 'missing' }),
    INVALID_ARGUMENT,
    /rule\.segment.*"missing"/,
  ],
  ['a segment of itself', segment('bad', { segment: 'bad' }), INVALID_ARGUMENT, /circle.*bad -> bad/],
  ['nine levels', segment('bad', nested(8)), INVALID_ARGUMENT, /at most 8 levels/],
  [
    '101 conditions',
    segment('bad', { any: Array(101).fill({ identified: true }) }),
    INVALID_ARGUMENT,
    /100 conditions/,
  ],
  ['an id that is taken', segment('buyers', { identified: true }), ALREADY_EXISTS, /buyers/],
  [
    'a request id with spaces',
    (api) =>
      api.segmentation.createSegment({
        segment: Segment.fromPartial({ id: 'bad', rule: { identified: true } as never }),
        requestId: 'a b',
      }),
    INVALID_ARGUMENT,
    /request_id/,
  ],
  [
    'a change of nothing',
    (api) =>
      api.segmentation.updateSegment({
        segment: Segment.fromPartial({ id: 'missing', rule: { identified: true } as never }),
        updateMask: undefined,
        requestId: '',
      }),
    NOT_FOUND,
    /missing/,
  ],
  [
    'a change of an old revision',
    (api) =>
      api.segmentation.updateSegment({
        segment: Segment.fromPartial({ id: 'buyers', revision: 999, rule: { identified: true } as never }),
        updateMask: undefined,
        requestId: '',
      }),
    ABORTED,
    /buyers|revision/,
  ],
  [
    'a change of an unknown field',
    (api) =>
      api.segmentation.updateSegment({
        segment: Segment.fromPartial({ id: 'buyers' }),
        updateMask: ['owner'],
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /update_mask.*"owner"/,
  ],
  [
    'the end of nothing',
    (api) => api.segmentation.deleteSegment({ id: 'missing', revision: 0, requestId: '' }),
    NOT_FOUND,
    /missing/,
  ],
  [
    'a circle, evaluated',
    (api) =>
      api.segmentation.evaluateSegment({
        segment: Segment.fromPartial({ id: 'x', rule: { segment: 'x' } as never }),
        sampleSize: 0,
      }),
    INVALID_ARGUMENT,
    /circle/,
  ],
  [
    'a sample of 21',
    (api) =>
      api.segmentation.evaluateSegment({
        segment: Segment.fromPartial({ rule: { identified: true } as never }),
        sampleSize: 21,
      }),
    INVALID_ARGUMENT,
    /sample_size.*21/,
  ],
  [
    'members of nothing',
    (api) => api.segmentation.listSegmentMembers({ segmentId: 'missing', pageSize: 0, pageToken: '' }),
    NOT_FOUND,
    /missing/,
  ],
  [
    'a page of segments that never was',
    (api) => api.segmentation.listSegments({ pageSize: 0, pageToken: '%%' }),
    INVALID_ARGUMENT,
    /page_token/,
  ],
  [
    'RFM within no days',
    (api) =>
      api.segmentation.updateRfmSettings({
        settings: RfmSettings.fromPartial({ recencyDays: 0, frequency: 1 }),
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /recency_days.*0/,
  ],
  [
    'RFM of an unknown money',
    (api) =>
      api.segmentation.updateRfmSettings({
        settings: RfmSettings.fromPartial({ recencyDays: 1, monetaryBasis: 9 as never }),
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /monetary_basis/,
  ],
  [
    'stages out of order',
    (api) =>
      api.segmentation.updateLifecycleSettings({
        settings: LifecycleSettings.fromPartial({ activeOrders: 5, loyalOrders: 3, atRiskDays: 60, lostDays: 30 }),
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /loyal_orders.*lost_days/,
  ],
];

const PURCHASE = 'trigger: { event: { name: Order Completed } }';
/** A journey in its file form, checked and then stored as its author would. */
const journey =
  (yaml: string, id = 'bad') =>
  async (api: Api): Promise<unknown> => {
    const text = `id: ${id}\nname: Bad\ndefinition:\n  ${yaml.replaceAll('\n', '\n  ')}`;
    const { violations, journey: read } = await api.journey.validateJourney({ form: { $case: 'text', value: text } });
    // What cannot be read at all has no message to be sent.
    if (read === undefined) throw Object.assign(new Error('unreadable'), { code: INVALID_ARGUMENT, violations });
    return api.journey.createJourney({ journey: read, requestId: '' });
  };

const JOURNEYS: readonly BadCall[] = [
  [
    'no journey',
    (api) => api.journey.createJourney({ journey: undefined, requestId: '' }),
    INVALID_ARGUMENT,
    /journey.*missing/,
  ],
  [
    'a journey of nothing',
    (api) => api.journey.createJourney({ journey: Journey.fromPartial({ id: 'bad' }), requestId: '' }),
    INVALID_ARGUMENT,
    /journey\.definition/,
  ],
  [
    'a circle without a wait',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, message: { channel: email, template_id: welcome_a, purpose: marketing, next: b } }\n  - { id: b, branch: { ways: [{ id: y, conditions: [{ in_segment: buyers }], next: a }], otherwise: c } }\n  - { id: c, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /definition.*(cycle|circle|loop).*/i,
  ],
  [
    'a way to nowhere',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: P1D, next: b } }`),
    INVALID_ARGUMENT,
    /nodes\[0\]\.wait\.next.*"b"/,
  ],
  [
    'a start that is not there',
    journey(`${PURCHASE}\nstart: z\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /definition\.start.*"z"/,
  ],
  [
    'a node nobody comes to',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }\n  - { id: b, exit: {} }`),
    INVALID_ARGUMENT,
    /nodes\[1\].*reach/,
  ],
  [
    'two nodes of one name',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /nodes\[1\]\.id/,
  ],
  [
    'no trigger',
    journey('start: a\nnodes:\n  - { id: a, exit: {} }'),
    INVALID_ARGUMENT,
    /definition\.trigger.*missing/,
  ],
  [
    'a wait of 500 days',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: P500D, next: b } }\n  - { id: b, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /wait\.duration.*400/,
  ],
  [
    'a wait of a while',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, wait: { duration: a while, next: b } }\n  - { id: b, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /wait\.duration/,
  ],
  [
    'a message in the hold-out',
    journey(
      `${PURCHASE}\nstart: a\nnodes:\n  - { id: a, split: { variants: [{ id: x, weight: 1, next: m, hold_out: true }, { id: y, weight: 1, next: e }] } }\n  - { id: m, message: { channel: email, template_id: welcome_a, purpose: marketing, next: e } }\n  - { id: e, exit: {} }`,
    ),
    INVALID_ARGUMENT,
    /hold.out/,
  ],
  [
    'a hold-out of 101 %',
    journey(`${PURCHASE}\nhold_out_percent: 101\nstart: a\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /hold_out_percent.*100/,
  ],
  [
    'a journey with a bad id',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }`, '9lives'),
    INVALID_ARGUMENT,
    /journey\.id/,
  ],
  [
    'an unknown field',
    journey(`${PURCHASE}\nstrat: a\nnodes:\n  - { id: a, exit: {} }`),
    INVALID_ARGUMENT,
    /definition\.strat.*unknown/,
  ],
  [
    'a small file that stands for a huge one',
    journey('a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]'),
    INVALID_ARGUMENT,
    /text.*alias/i,
  ],
  ['a file of 65 KB', journey(`start: ${'x'.repeat(65 * KB)}`), INVALID_ARGUMENT, /text.*64 KB/],
  [
    'an id that is taken',
    journey(`${PURCHASE}\nstart: a\nnodes:\n  - { id: a, exit: {} }`, 'welcome'),
    ALREADY_EXISTS,
    /welcome/,
  ],
  ['an unknown journey', (api) => api.journey.getJourney({ id: 'missing' }), NOT_FOUND, /missing/],
  ['the start of nothing', (api) => api.journey.startJourney({ id: 'missing', requestId: '' }), NOT_FOUND, /missing/],
  [
    'the start of what runs',
    (api) => api.journey.startJourney({ id: 'welcome', requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'the resumption of what runs',
    (api) => api.journey.resumeJourney({ id: 'welcome', requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'the end of what runs',
    (api) => api.journey.deleteJourney({ id: 'welcome', revision: 0, requestId: '' }),
    FAILED_PRECONDITION,
    /welcome/,
  ],
  [
    'a change of an old revision',
    (api) =>
      api.journey.updateJourney({
        journey: Journey.fromPartial({ id: 'welcome', name: 'x', revision: 999 }),
        updateMask: ['name'],
        requestId: '',
      }),
    ABORTED,
    /welcome|revision/,
  ],
  [
    'a change of an unknown field',
    (api) =>
      api.journey.updateJourney({
        journey: Journey.fromPartial({ id: 'welcome' }),
        updateMask: ['status'],
        requestId: '',
      }),
    INVALID_ARGUMENT,
    /update_mask.*"status"/,
  ],
];

const template =
  (fields: Partial<Template>, subject = 'Hello', text = 'Hello', html = '') =>
  (api: Api) =>
    api.messaging.createTemplate({
      template: Template.fromPartial({
        id: 'bad',
        name: 'Bad',
        channel: 'email',
        content: { subject, text, html },
        ...fields,
      } as never),
      requestId: '',
    });
const settings = (fields: Partial<MessagingSettings>) => (api: Api) =>
  api.messaging.updateMessagingSettings({ settings: MessagingSettings.fromPartial(fields as never), requestId: '' });
const mailTo =
  (to: string, templateId = 'welcome_a', customer = '{}') =>
  (api: Api) =>
    api.messaging.sendTestMessage({
      templateId,
      to,
      locale: '',
      customerJson: json(customer),
      journeyJson: json('{}'),
    });

const MESSAGING: readonly BadCall[] = [
  [
    'a template that loops for ever',
    template({}, 'x', '{% for i in (1..1000000000) %}x{% endfor %}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*(limit|ms)/,
  ],
  [
    'a template that loops in loops',
    template(
      {},
      'x',
      '',
      '{% for i in (1..9000) %}{% for j in (1..9000) %}{% for k in (1..9000) %}{% endfor %}{% endfor %}{% endfor %}',
    ),
    INVALID_ARGUMENT,
    /template\.content\.html.*(limit|ms)/,
  ],
  [
    'a template that grows without end',
    template({}, 'x', '{% for i in (1..90000) %}0123456789{% endfor %}'),
    INVALID_ARGUMENT,
    /template\.content\.text/,
  ],
  [
    'a template that ends too early',
    template({}, 'x', '{% if customer %}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*line 1/,
  ],
  [
    'a template with an unknown filter',
    template({}, 'x', '{{ customer.a | evil }}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*evil/,
  ],
  [
    'a template that reads files',
    template({}, 'x', "{% include '/etc/passwd' %}"),
    INVALID_ARGUMENT,
    /template\.content\.text/,
  ],
  ['a template of 65 KB', template({}, 'x', 'x'.repeat(65 * KB)), INVALID_ARGUMENT, /template\.content.*65536/],
  ['a subject of two lines', template({}, 'a\r\nBcc: all@example.com'), INVALID_ARGUMENT, /template\.content\.subject/],
  ['no subject', template({}, ''), INVALID_ARGUMENT, /template\.content\.subject.*empty/],
  ['no content', template({ content: undefined as never }), INVALID_ARGUMENT, /template\.content/],
  ['a template for pigeons', template({ channel: 'pigeon' }), INVALID_ARGUMENT, /template\.channel.*pigeon/],
  ['a template with a bad id', template({ id: 'Bad Id' }), INVALID_ARGUMENT, /template\.id/],
  ['an id that is taken', template({ id: 'welcome_a' }), ALREADY_EXISTS, /welcome_a/],
  ['an unknown template', (api) => api.messaging.getTemplate({ id: 'missing' }), NOT_FOUND, /missing/],
  [
    'a change of an old revision',
    (api) =>
      api.messaging.updateTemplate({
        template: Template.fromPartial({
          id: 'welcome_a',
          name: 'x',
          channel: 'email',
          content: { subject: 'x', text: 'x' },
          revision: 999,
        } as never),
        requestId: '',
      }),
    ABORTED,
    /welcome_a|revision/,
  ],
  [
    'the end of nothing',
    (api) => api.messaging.deleteTemplate({ id: 'missing', revision: 0, requestId: '' }),
    NOT_FOUND,
    /missing/,
  ],
  [
    'a preview of nothing',
    (api) =>
      api.messaging.previewTemplate({
        source: undefined,
        locale: '',
        customerJson: json('{}'),
        journeyJson: json('{}'),
        customerId: '',
      }),
    INVALID_ARGUMENT,
    /template/,
  ],
  [
    'a preview with malformed values',
    (api) =>
      api.messaging.previewTemplate({
        source: { $case: 'templateId', value: 'welcome_a' },
        locale: '',
        customerJson: json('{'),
        journeyJson: json('{}'),
        customerId: '',
      }),
    INVALID_ARGUMENT,
    /customer_json/,
  ],
  [
    'what nobody lacks',
    (api) =>
      api.messaging.reportMissingVariables({
        source: { $case: 'templateId', value: 'welcome_a' },
        customerIds: [],
        journeyJson: json('{}'),
        locale: '',
      }),
    INVALID_ARGUMENT,
    /customer_ids.*1–200/,
  ],
  ['a test to no address', mailTo('wei'), INVALID_ARGUMENT, /\bto\b/],
  ['a test with a second line', mailTo('a@example.com\r\nBcc: b@example.com'), INVALID_ARGUMENT, /\bto\b/],
  ['a test of nothing', mailTo('a@example.com', 'missing'), NOT_FOUND, /missing/],
  ['a test with values that are a list', mailTo('a@example.com', 'welcome_a', '[]'), INVALID_ARGUMENT, /customer_json/],
  ['quiet from 25 o’clock', settings({ quietStart: '25:00' }), INVALID_ARGUMENT, /settings\.quiet_start.*25:00/],
  ['101 messages a week', settings({ capMessages: 101 }), INVALID_ARGUMENT, /settings\.cap_messages.*101/],
  ['a cap over 32 days', settings({ capDays: 32 }), INVALID_ARGUMENT, /settings\.cap_days.*32/],
  ['a sender that is none', settings({ senderAddress: 'shop' }), INVALID_ARGUMENT, /settings\.sender_address/],
  [
    'a sender of two lines',
    settings({ senderName: 'Shop\r\nBcc: x@example.com' }),
    INVALID_ARGUMENT,
    /settings\.sender_name/,
  ],
  [
    'a link that runs',
    settings({ unsubscribeUrl: 'javascript:alert(1)' }),
    INVALID_ARGUMENT,
    /settings\.unsubscribe_url/,
  ],
];

const ANALYTICS: readonly BadCall[] = [
  ['events of ""', timeline({ customerId: '' }), INVALID_ARGUMENT, /customer_id/],
  ['201 events a page', timeline({ pageSize: 201 }), INVALID_ARGUMENT, /page_size.*201/],
  ['a page that never was', timeline({ pageToken: "'; DROP TABLE events" }), INVALID_ARGUMENT, /page_token/],
  [
    'results over 366 days',
    (api) => api.analytics.listExperimentResults({ experimentId: '', days: 366, by: '' }),
    INVALID_ARGUMENT,
    /days.*366/,
  ],
  [
    'a summary before 1970',
    (api) => api.analytics.getSummary({ asOfMs: -1, rfm: undefined }),
    INVALID_ARGUMENT,
    /as_of_ms.*-1/,
  ],
  [
    'a summary after 2100',
    (api) => api.analytics.getSummary({ asOfMs: Date.UTC(2101, 0), rfm: undefined }),
    INVALID_ARGUMENT,
    /as_of_ms/,
  ],
  ['a metric that is nothing', metric({}), INVALID_ARGUMENT, /metric\.id.*metric\.owner.*metric\.refunds/],
  [
    'a metric that drops',
    metric({ formula: { $case: 'sql', value: 'DROP TABLE events' } }),
    INVALID_ARGUMENT,
    /metric\.sql: Only SELECT/,
  ],
  [
    'a metric that reads a file',
    metric({ formula: { $case: 'sql', value: "SELECT * FROM file('/etc/passwd')" } }),
    INVALID_ARGUMENT,
    /metric\.sql: .*file/,
  ],
  [
    'the metric of nobody',
    (api) => api.metrics.deleteMetric({ id: 'nobody', revision: 0, requestId: '' }),
    NOT_FOUND,
    /metric "nobody"/,
  ],
];

function metric(fields: object) {
  return (api: Api) => api.metrics.createMetric({ metric: Metric.fromPartial(fields), requestId: '' });
}
function getProfile(customerId: string, readMask?: string[]) {
  return (api: Api) => api.profile.getProfile({ customer: { $case: 'customerId', value: customerId }, readMask });
}
function getProfileBy(type: string, value: string) {
  return (api: Api) =>
    api.profile.getProfile({ customer: { $case: 'identifier', value: { type, value } }, readMask: undefined });
}
function batchGet(customerIds: string[]) {
  return (api: Api) => api.profile.batchGetProfiles({ customerIds, readMask: undefined });
}
function listEvents(fields: object) {
  const request = { customerId: NOBODY, pageSize: 0, pageToken: '', names: [], beforeMs: 0, ...fields };
  return (api: Api) => api.profile.listEvents(request);
}
function listMessages(fields: object) {
  return (api: Api) => api.messaging.listMessages({ customerId: NOBODY, pageSize: 0, pageToken: '', ...fields });
}
function timeline(fields: object) {
  const request = { customerId: NOBODY, pageSize: 0, pageToken: '', names: [], ...fields };
  return (api: Api) => api.analytics.listCustomerEvents(request);
}

/** One call of each service that anybody who may call it could make. */
const ONE_OF_EACH: readonly [service: string, call: (api: Api) => Promise<unknown>, path: string][] = [
  ['ingest', send({}), '/recur.ingest.v1.IngestService/SendEvent'],
  [
    'identity',
    (api) => api.identity.getCustomerIdentity({ customerId: NOBODY }),
    '/recur.identity.v1.IdentityService/GetCustomerIdentity',
  ],
  ['profile', getProfile(NOBODY), '/recur.profile.v1.ProfileService/GetProfile'],
  [
    'segmentation',
    (api) => api.segmentation.listSegments({ pageSize: 0, pageToken: '' }),
    '/recur.segmentation.v1.SegmentationService/ListSegments',
  ],
  [
    'journey',
    (api) => api.journey.listJourneys({ pageSize: 0, pageToken: '' }),
    '/recur.journey.v1.JourneyService/ListJourneys',
  ],
  [
    'messaging',
    (api) => api.messaging.listTemplates({ pageSize: 0, pageToken: '' }),
    '/recur.messaging.v1.MessagingService/ListTemplates',
  ],
  [
    'analytics',
    (api) => api.analytics.getSummary({ asOfMs: 0, rfm: undefined }),
    '/recur.analytics.v1.AnalyticsService/GetSummary',
  ],
];

export function badCalls(theShop: () => ShopCluster): void {
  let unchanged: () => Promise<void>;
  beforeAll(async () => {
    unchanged = await watchState(theShop());
  });
  afterAll(() => unchanged());

  test.each([...EVENTS, ...CUSTOMERS, ...SEGMENTS, ...JOURNEYS, ...MESSAGING, ...ANALYTICS])(
    '%s',
    async (_, call, code, says) => {
      await expectRefusal(call(theShop().api), code, says);
    },
  );

  test.each(ONE_OF_EACH)('%s: a token nobody has', async (_, call) => {
    const api = connectApi({ grpc: theShop().endpoints.grpc, apiToken: 'at_nobody' });
    await expectRefusal(call(api), UNAUTHENTICATED, /token is not known/).finally(() => closeApi(api));
  });

  test.each(ONE_OF_EACH)('%s: no token', async (service, _, path) => {
    await expectRefusal(
      raw(theShop(), service, path, Buffer.alloc(0), false),
      UNAUTHENTICATED,
      /authorization.*missing/,
    );
  });

  test.each(ONE_OF_EACH)('%s: bytes that are no message', async (service, _, path) => {
    const garbage = Buffer.from('ffffffffff', 'hex');
    await expectRefusal(raw(theShop(), service, path, garbage, true), INVALID_ARGUMENT, /not a message of its type/);
  });

  test.each(ONE_OF_EACH)('%s: more than 4 MB', async (service, _, path) => {
    const large = Buffer.alloc(4 * KB * KB + 1);
    await expectRefusal(raw(theShop(), service, path, large, true), RESOURCE_EXHAUSTED, /larger than max|4194304/);
  });
}

/** It fails with this code, and says what is wrong: the field and the rule, as a program and a person read it. */
async function expectRefusal(call: Promise<unknown>, code: status, says: RegExp): Promise<void> {
  const error = await call.then(
    (answer) => expect.unreachable(`it succeeded: ${JSON.stringify(answer).slice(0, 300)}`),
    (failure: RpcError) => failure,
  );
  const { violations = [] } = error;
  const said = [error.message, ...violations.map(({ field, description }) => `${field}: ${description}`)].join('\n');
  expect(status[error.code], said).toBe(status[code]);
  expect(said.replaceAll('\n', ' ')).toMatch(says);
}

/** A call beneath all generated code, with bytes of our own. */
function raw(
  { endpoints }: ShopCluster,
  service: string,
  path: string,
  bytes: Buffer,
  token: boolean,
): Promise<Buffer> {
  const address = endpoints.grpc[service as 'ingest'];
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  if (token) metadata.set('authorization', `Bearer ${endpoints.apiToken}`);
  const same = (value: Buffer) => value;
  return new Promise<Buffer>((resolve, reject) => {
    const done = (error: ServiceError | null, answer?: Buffer) => (error ? reject(error) : resolve(answer as Buffer));
    client.makeUnaryRequest(path, same, same, bytes, metadata, { deadline: Date.now() + 20_000 }, done);
  }).finally(() => client.close());
}
