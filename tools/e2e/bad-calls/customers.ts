import { status } from '@grpc/grpc-js';
import type { Api } from '#tools/library/api.ts';
import { type BadCall, NOBODY } from './bad-call.ts';

const { INVALID_ARGUMENT, NOT_FOUND } = status;

export const CUSTOMERS: readonly BadCall[] = [
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
export function getProfile(customerId: string, readMask?: string[]) {
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
