// Microseconds of CPU per event from the bytes of a request to the bytes of a frame, by kind of event, and where they go.
// Run: node_modules/.bin/node services/ingest/bench/normalise.ts
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Event } from '#gen/recur/log/v1/event.ts';
import { PhoneBook } from '#lib/identifiers/contact.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import { IdentifierValues } from '#lib/identifiers/values.ts';
import { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { TraitTypes } from '#lib/traits/trait-types.ts';
import { EventEncoder } from '../src/core/encode.ts';
import { Normaliser, type Rules } from '../src/core/normalise.ts';
import { readRequest, routeOf } from '../src/core/request.ts';
import { Violations } from '../src/core/violations.ts';
import { Intake } from '../src/processor.ts';
import { toolsOf } from '../src/tools.ts';

const CUSTOMERS = 5_000;
const BATCH = 100;
const ROUNDS = 1_000;
const STRETCH = 100;

const keys = KeyRing.parse('1'.repeat(64));
const rules: Rules = { clock: 'live', currency: 'CNY', country: 'CN', personalTraits: [] };
const values = new IdentifierValues(new IdentifierTypes(), new PhoneBook(rules.country));
const tools = toolsOf(
  new IdentifierHasher(keys),
  new Sealer(keys),
  () => values,
  () => {},
  new TraitTypes(),
);
const route = routeOf('/v1/batch');
if (route === undefined) throw new Error('no route');

const common = (i: number) => ({
  messageId: `node-next-${Date.now()}-${randomUUID()}`,
  timestamp: new Date(Date.now() - 1000).toISOString(),
  userId: `user-${(i * 7919) % CUSTOMERS}`,
  anonymousId: randomAnonymous((i * 7919) % CUSTOMERS),
  context: { library: { name: '@segment/analytics-node', version: '3.1.0' }, locale: 'zh-CN' },
  integrations: {},
  _metadata: { nodeVersion: '24.0.0', jsRuntime: 'node' },
});

function randomAnonymous(customer: number): string {
  return `5f2c8a70-0000-4000-8000-${String(customer).padStart(12, '0')}`;
}

const product = (i: number) => ({
  product_id: `p-${i % 3000}`,
  sku: `G-${i % 3000}`,
  category: ['护肤', '彩妆', '防晒', '香氛'][i % 4],
  name: '清爽防晒乳 50ml',
  brand: 'Recur',
  price: 129.9,
  quantity: 1 + (i % 3),
});

const kinds: Record<string, (i: number) => object> = {
  'Product Viewed': (i) => ({
    ...common(i),
    type: 'track',
    event: 'Product Viewed',
    properties: { ...product(i), position: 3 },
  }),
  'Order Completed, 3 lines': (i) => ({
    ...common(i),
    type: 'track',
    event: 'Order Completed',
    properties: {
      order_id: `o-${i}`,
      total: 389.7,
      shipping: 10,
      currency: 'CNY',
      coupon: 'WELCOME10',
      products: [product(i), product(i + 1), product(i + 2)],
    },
  }),
  page: (i) => ({
    ...common(i),
    type: 'page',
    name: 'Home',
    properties: { url: 'https://shop.example/p/1?x=1', title: 'Home' },
  }),
  'identify, 3 personal traits': (i) => ({
    ...common(i),
    type: 'identify',
    traits: {
      email: `customer${(i * 7919) % CUSTOMERS}@example.com`,
      phone: `138${String((i * 7919) % CUSTOMERS).padStart(8, '0')}`,
      name: '张伟',
      plan: 'gold',
      points: 1200,
    },
  }),
};

// What a shop sends, roughly.
kinds.mixed = (i) => {
  const pick = i % 20;
  const kind =
    pick < 12
      ? 'Product Viewed'
      : pick < 17
        ? 'page'
        : pick < 19
          ? 'Order Completed, 3 lines'
          : 'identify, 3 personal traits';
  return (kinds[kind] as (i: number) => object)(i);
};

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The best of several stretches: what the work takes when nothing else gets in its way. */
function measure(bodies: readonly Buffer[], work: (body: Buffer) => void): number {
  for (let i = 0; i < Math.min(bodies.length, 150); i++) work(bodies[i] as Buffer);
  let best = Number.POSITIVE_INFINITY;
  for (let from = 0; from + STRETCH <= bodies.length; from += STRETCH) {
    const before = cpuUs();
    for (let i = from; i < from + STRETCH; i++) work(bodies[i] as Buffer);
    best = Math.min(best, (cpuUs() - before) / (STRETCH * BATCH));
  }
  return best;
}

const arrivalOf = (sentAt: unknown) => ({
  receivedAtMs: Date.now(),
  sentAt,
  context: undefined,
  careful: false,
});

let sink = 0;
const intake = new Intake(rules, tools, { append: async () => {} });

console.log(
  `${'µs CPU per event'.padEnd(30)} ${['bytes', 'parse', '+normalise', '+encode', '+frame = all'].map((c) => c.padStart(13)).join('')}`,
);
for (const [name, make] of Object.entries(kinds)) {
  const bodies: Buffer[] = [];
  for (let b = 0; b < ROUNDS; b++) {
    const batch = Array.from({ length: BATCH }, (_, i) => make(b * BATCH + i));
    bodies.push(Buffer.from(JSON.stringify({ batch, sentAt: new Date() })));
  }
  const size = bodies.reduce((sum, body) => sum + body.length, 0) / (ROUNDS * BATCH);
  const parse = measure(bodies, (body) => {
    sink += JSON.parse(body.toString()).batch.length;
  });
  const normaliser = new Normaliser(rules, tools);
  const run = (body: Buffer, each: (event: Event) => void) => {
    const violations = new Violations();
    const request = readRequest(body, route, violations);
    const arrival = arrivalOf(request?.sentAt);
    for (const message of request?.messages ?? []) {
      const event = normaliser.normalise(message, undefined, 'web', arrival, violations);
      if (event === undefined) throw new Error(JSON.stringify(violations.list));
      each(event);
    }
  };
  const normalised = measure(bodies, (body) =>
    run(body, (event) => {
      sink += event.timeMs;
    }),
  );
  const encoder = new EventEncoder();
  const encoded = measure(bodies, (body) =>
    run(body, (event) => {
      sink += encoder.encode(event).length;
    }),
  );
  const all = measure(bodies, (body) => {
    const violations = new Violations();
    const request = readRequest(body, route, violations);
    const accepted = intake.accept(
      request?.messages ?? [],
      { type: undefined, source: 'web' },
      arrivalOf(request?.sentAt),
      violations,
    );
    if (accepted === undefined) throw new Error(JSON.stringify(violations.list));
    sink += encodeFrame({
      throughSeq: 0,
      ahead: 0,
      aheadSeq: 0,
      watermarkMs: 0,
      records: [...accepted.records],
    }).length;
  });
  const columns = [size.toFixed(0), ...[parse, normalised, encoded, all].map((us) => us.toFixed(2))];
  console.log(`${name.padEnd(30)} ${columns.map((c) => c.padStart(13)).join('')}`);
}

const violations = new Violations();
const sample = new Normaliser(rules, tools).normalise(
  kinds['Order Completed, 3 lines']?.(1),
  undefined,
  'web',
  arrivalOf(undefined),
  violations,
);
if (sample === undefined) throw new Error(JSON.stringify(violations.list));
const rounds = 200_000;
const encoder = new EventEncoder();
for (const [name, encode] of [
  ['generated encoder', (event: Event) => Event.encode(event).finish()],
  ['hand-written encoder', (event: Event) => encoder.encode(event)],
] as const) {
  for (let i = 0; i < 20_000; i++) sink += encode(sample).length;
  const from = performance.now();
  for (let i = 0; i < rounds; i++) sink += encode(sample).length;
  console.log(`${name}: ${(((performance.now() - from) * 1000) / rounds).toFixed(2)} µs for an order with 3 lines`);
}
if (sink === 0) throw new Error('nothing was done');
