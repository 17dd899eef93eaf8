import { status } from '@grpc/grpc-js';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { Api } from '#tools/library/api.ts';
import type { BadCall } from './bad-call.ts';

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, ABORTED } = status;

const segment = (id: string, rule: Partial<Rule> | undefined) => (api: Api) =>
  api.segmentation.createSegment({
    segment: Segment.fromPartial({ id, ...(rule && { rule: Rule.fromPartial(rule as never) }) }),
    requestId: '',
  });
const nested = (depth: number): Partial<Rule> =>
  depth === 0 ? { identified: true } : { not: Rule.fromPartial(nested(depth - 1) as never) };

export const SEGMENTS: readonly BadCall[] = [
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
