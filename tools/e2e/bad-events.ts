import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ShopCluster } from './shop-cluster.ts';
import { watchState } from './unchanged.ts';

interface BadEvent {
  readonly what: string;
  readonly path: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly key?: string;
  readonly status: number;
  /** Field, value or rule that the answer has to name. */
  readonly says: RegExp;
}

const KB = 1024;
const track = (fields: object) => JSON.stringify({ userId: 'bad', event: 'Bad', ...fields });
const withProperties = (json: string) => `{"userId":"bad","event":"Bad","properties":${json}}`;
const batch = (...events: string[]) => `{"batch":[${events.join(',')}]}`;
const order = (properties: object) => track({ event: 'Order Completed', properties: { order_id: 'o', ...properties } });
const T = '/v1/track';
const B = '/v1/batch';

const CASES: readonly BadEvent[] = [
  { what: 'malformed JSON', path: T, body: '{"userId":', status: 400, says: /must be JSON/ },
  { what: 'no JSON at all', path: T, body: 'hello', status: 400, says: /must be JSON/ },
  { what: 'an empty body', path: T, body: '', status: 400, says: /empty/ },
  { what: 'a list where an object belongs', path: T, body: '[1,2]', status: 400, says: /JSON object/ },
  {
    what: 'bytes that are not UTF-8',
    path: T,
    body: Uint8Array.from([0x7b, 0xd5, 0xc5, 0x7d]),
    status: 400,
    says: /UTF-8/,
  },
  { what: 'a batch that is no list', path: B, body: '{"batch":{"a":1}}', status: 400, says: /batch must be a list/ },
  { what: 'an empty batch', path: B, body: '{"batch":[]}', status: 400, says: /batch must hold at least one/ },
  {
    what: 'a batch of 1,001',
    path: B,
    body: batch(...Array(1_001).fill(track({}))),
    status: 400,
    says: /at most 1000/,
  },
  { what: 'an event that is a number', path: B, body: '{"batch":[7]}', status: 400, says: /Event 0/ },
  { what: 'an event without a name', path: T, body: '{"userId":"bad"}', status: 400, says: /event.*1 to 200/ },
  { what: 'a name that is a number', path: T, body: track({ event: 5 }), status: 400, says: /event/ },
  {
    what: 'a name of 201 characters',
    path: T,
    body: track({ event: 'x'.repeat(201) }),
    status: 400,
    says: /event.*200/,
  },
  { what: 'an id that is an object', path: T, body: track({ userId: { a: 1 } }), status: 400, says: /userId/ },
  {
    what: 'an id of 257 characters',
    path: T,
    body: track({ userId: 'x'.repeat(257) }),
    status: 400,
    says: /userId.*256/,
  },
  { what: 'nobody', path: T, body: '{"event":"Bad"}', status: 400, says: /userId|anonymousId/ },
  {
    what: 'an id that stands for nobody',
    path: T,
    body: track({ userId: 'null' }),
    status: 400,
    says: /userId|identifier/,
  },
  {
    what: 'properties that are text',
    path: T,
    body: track({ properties: 'x' }),
    status: 400,
    says: /properties.*object/,
  },
  {
    what: 'traits that are a list',
    path: '/v1/identify',
    body: '{"userId":"bad","traits":[]}',
    status: 400,
    says: /traits.*object/,
  },
  {
    what: 'an unknown type',
    path: B,
    body: batch('{"type":"buy","userId":"bad"}'),
    status: 400,
    says: /Event 0: type/,
  },
  {
    what: 'an event of 33 KB',
    path: T,
    body: track({ properties: { x: 'x'.repeat(33 * KB) } }),
    status: 413,
    says: /32768 bytes/,
  },
  {
    what: 'an event of 33 KB in a batch',
    path: B,
    body: batch(track({ type: 'track' }), track({ type: 'track', properties: { x: 'x'.repeat(33 * KB) } })),
    status: 400,
    says: /Event 1 must be at most 32768 bytes/,
  },
  {
    what: 'a batch of 501 KB',
    path: B,
    body: batch(...Array<string>(25).fill(track({ type: 'track', properties: { x: 'x'.repeat(20 * KB) } }))),
    status: 413,
    says: /512000 bytes/,
  },
  { what: 'a gzip bomb', path: B, body: gzipSync(Buffer.alloc(64 << 20)), status: 413, says: /512000 bytes/ },
  {
    what: 'JSON 10,000 deep',
    path: T,
    body: withProperties(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`),
    status: 400,
    says: /32 deep/,
  },
  {
    what: 'a key __proto__',
    path: T,
    body: withProperties('{"__proto__":{"admin":true}}'),
    status: 400,
    says: /"__proto__"/,
  },
  {
    what: 'a key __proto__, written otherwise',
    path: T,
    body: withProperties('{"\\u005f_proto__":1}'),
    status: 400,
    says: /"__proto__"/,
  },
  {
    what: 'constructor.prototype',
    path: T,
    body: withProperties('{"a":{"constructor":{"prototype":{}}}}'),
    status: 400,
    says: /constructor\.prototype/,
  },
  { what: 'NUL in text', path: T, body: withProperties('{"a":"x\\u0000y"}'), status: 400, says: /properties\.a.*NUL/ },
  { what: 'NUL in a name', path: T, body: withProperties('{"a\\u0000":1}'), status: 400, says: /name without NUL/ },
  {
    what: 'a lone surrogate',
    path: T,
    body: withProperties('{"a":["\\ud800"]}'),
    status: 400,
    says: /properties\.a\[0\].*surrogates/,
  },
  { what: 'infinity', path: T, body: withProperties('{"a":1e309}'), status: 400, says: /properties\.a.*infinite/ },
  {
    what: 'a number with lost digits',
    path: T,
    body: withProperties('{"a":9007199254740993}'),
    status: 400,
    says: /properties\.a.*9007199254740991/,
  },
  {
    what: 'a date in 1900',
    path: T,
    body: track({ timestamp: '1900-01-01T00:00:00Z' }),
    status: 400,
    says: /timestamp.*2000-01-01/,
  },
  {
    what: 'a date in 2100',
    path: T,
    body: track({ timestamp: '2100-01-01T00:00:00Z' }),
    status: 400,
    says: /timestamp.*24 hours ahead/,
  },
  {
    what: 'a date that is none',
    path: T,
    body: track({ timestamp: '2026-02-30T00:00:00Z' }),
    status: 400,
    says: /timestamp/,
  },
  { what: 'a total in words', path: T, body: order({ total: 'abc' }), status: 400, says: /properties\.total.*number/ },
  { what: 'a negative total', path: T, body: order({ total: -5 }), status: 400, says: /properties\.total.*from 0/ },
  {
    what: 'a currency nobody has',
    path: T,
    body: order({ total: 1, currency: 'pounds' }),
    status: 400,
    says: /properties\.currency.*ISO 4217/,
  },
  {
    what: 'half a unit',
    path: T,
    body: order({ products: [{ product_id: 'p', quantity: 0.5 }] }),
    status: 400,
    says: /products\[0\]\.quantity/,
  },
  {
    what: 'products that are text',
    path: T,
    body: order({ products: 'tea' }),
    status: 400,
    says: /properties\.products.*list/,
  },
  { what: 'an unknown write key', path: T, body: track({}), key: 'wk_nobody', status: 401, says: /write key/ },
  { what: 'no write key', path: T, body: track({}), key: '', status: 401, says: /write key/ },
  { what: 'another path', path: '/v1/buy', body: track({}), status: 404, says: /no "\/v1\/buy"/ },
];

export function badEvents(theShop: () => ShopCluster): void {
  let unchanged: () => Promise<void>;
  beforeAll(async () => {
    unchanged = await watchState(theShop());
  });
  afterAll(() => unchanged());

  test.each(CASES)('$what', async ({ path, body, key, status, says }) => {
    const { ingestHttp, writeKey } = theShop().endpoints;
    const user = key ?? writeKey;
    const headers: Record<string, string> =
      user === '' ? {} : { authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` };
    const answer = await fetch(ingestHttp + path, { method: 'POST', body, headers });
    const text = await answer.text();
    expect(answer.status, text).toBe(status);
    expect(JSON.parse(text)).toMatchObject({ success: false });
    expect(JSON.stringify(JSON.parse(text)).replaceAll('\\"', '"')).toMatch(says);
  });
}
