import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RpcError } from '#lib/rpc/errors.ts';
import { type Api, closeApi, connectApi } from '#tools/library/api.ts';
import { ANALYTICS } from './bad-calls/analytics.ts';
import { KB, NOBODY } from './bad-calls/bad-call.ts';
import { CUSTOMERS, getProfile } from './bad-calls/customers.ts';
import { EVENTS, send } from './bad-calls/events.ts';
import { JOURNEYS } from './bad-calls/journeys.ts';
import { MESSAGING } from './bad-calls/messaging.ts';
import { SEGMENTS } from './bad-calls/segments.ts';
import type { ShopCluster } from './shop-cluster.ts';
import { watchState } from './unchanged.ts';

const { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAUTHENTICATED } = status;

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
