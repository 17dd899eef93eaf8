import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { decodeFrame } from '#lib/stream/frames.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { readAll } from '#tools/bench/read-all.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { Quiescence } from '#tools/e2e/quiescence.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { ROOT } from '#tools/servers/node.ts';

/** Enough of each kind to meet what a field may hold; few enough to be read by people. */
const FRAMES_A_KIND = 2;
const STATES_A_SERVICE = 4;
/** The order of these: the kinds of state each service keeps, as Redis patterns: keys, and buckets of a hash for several. */
const STATES = {
  identity: ['{identity.0}:n:*'],
  profile: ['{profile.*}:s:*', '{profile.*}:b:*'],
  segmentation: ['{segmentation.*}:s:*', '{segmentation.*}:b:*'],
  journey: ['{journey.*}:s:*', '{journey.*}:b:*'],
  messaging: ['{messaging.*}:s:*', '{messaging.*}:b:*'],
} as const;

const KINDS = ['event', 'profile', 'segment', 'step', 'delivery', 'outcome', 'definition.*', 'handover.*.*'];
const SUBJECTS = KINDS.map((kind) => `log.*.${kind}`);

interface Written {
  readonly where: string;
  readonly bytes: string;
}

/** Lets a build live through a small shop, and keeps some of what it wrote where tests of readers look for it. */
export async function record(distDir: string, say: (line: string) => void): Promise<void> {
  const cluster = await startCluster({ partitions: 2, distDir, logLevel: 'warn', readyTimeoutMs: 120_000 });
  const quiescence = new Quiescence(cluster);
  const api = connectApi(cluster.endpoints);
  try {
    say('A small shop …');
    await loadLibrary(api, join(ROOT, 'services/profile/library'));
    await loadLibrary(api);
    await quiescence.reached('definitions to be in force');
    for (const batch of shop()) await send(cluster, batch);
    await quiescence.reached('the shop to have all its effects');
    keep('services/lib/stream', await framesOf(cluster), say);
    for (const [service, patterns] of Object.entries(STATES)) {
      keep(`services/${service}`, await statesOf(cluster.endpoints.redisUrl, patterns), say);
    }
  } finally {
    closeApi(api);
    await quiescence.close();
    await cluster.stop();
  }
  say('Now, on code of the version that wrote this: RECUR_RECORD=1 npx vitest run --project unit previous.spec');
}

/** A visitor who becomes a customer, buys twice and returns something; somebody else who only looks; and a bad link. */
function* shop(): Generator<object[]> {
  let n = 0;
  const at = Date.now() - 60_000;
  const said = (rest: object) => ({
    messageId: `previous-${n}`,
    timestamp: new Date(at + 1_000 * n++).toISOString(),
    ...rest,
  });
  const track = (who: object, event: string, properties: object = {}) =>
    said({ type: 'track', ...who, event, properties });
  const line = { product_id: 'p-1', category: 'sunscreen', price: 64.95, quantity: 2 };
  const order = (id: string, total: number) => ({ order_id: id, total, currency: 'CNY', products: [line] });
  const [guest, anna, ben] = [{ anonymousId: 'guest-1' }, { userId: 'anna' }, { userId: 'ben' }];
  yield [track(guest, 'Product Viewed', line), said({ type: 'page', ...guest, name: 'Home' })];
  const traits = {
    email: 'anna@example.com',
    firstName: 'Anna',
    city: 'Hangzhou',
    locale: 'en',
    marketing_consent: true,
  };
  yield [said({ type: 'identify', ...anna, traits }), track(anna, 'Signed Up'), track(anna, 'Product Viewed', line)];
  yield [
    said({ type: 'identify', ...guest, ...anna, traits: {} }),
    track(anna, 'Order Completed', order('o-1', 129.9)),
  ];
  yield [track(anna, 'Products Searched', { query: 'sunscreen' }), track(anna, 'Order Completed', order('o-2', 129.9))];
  yield [track(anna, 'Order Refunded', { order_id: 'o-1', total: 64.95 }), track(ben, 'Product Viewed', line)];
  yield [said({ type: 'identify', ...ben, traits: { email: 'ben@example.com' } }), track(ben, 'Product Added', line)];
}

async function send({ endpoints }: Cluster, batch: object[]): Promise<void> {
  const answer = await fetch(`${endpoints.ingestHttp}/v1/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-write-key': endpoints.writeKey },
    body: JSON.stringify({ batch }),
  });
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
}

/** Frames that bring a kind of record there are not enough of yet. */
async function framesOf(cluster: Cluster): Promise<Written[]> {
  const kept: Written[] = [];
  const seen = new Map<string, number>();
  await readAll(cluster.endpoints.natsUrl, STREAMS.log.name, SUBJECTS, ({ subject, data }) => {
    const kinds = new Set(decodeFrame(data).records.map(({ kind }) => `${subject.split('.')[2]} ${kind}`));
    if ([...kinds].every((kind) => (seen.get(kind) ?? 0) >= FRAMES_A_KIND)) return;
    for (const kind of kinds) seen.set(kind, (seen.get(kind) ?? 0) + 1);
    kept.push({ where: subject, bytes: Buffer.from(data).toString('base64') });
  });
  return kept;
}

async function statesOf(redisUrl: string, patterns: readonly string[]): Promise<Written[]> {
  const redis = new Redis(redisUrl);
  const keys: string[] = [];
  for (const pattern of patterns) keys.push(...(await redis.keys(pattern)));
  const found: Written[] = [];
  for (const where of keys.sort()) {
    const [tag] = where.split(':b:');
    const states = where.includes(':b:') ? await redis.hgetallBuffer(where) : {};
    for (const [id, bytes] of Object.entries(states))
      found.push({ where: `${tag}:s:${id}`, bytes: bytes.toString('base64') });
    if (where.includes(':b:')) continue;
    const bytes = await redis.getBuffer(where);
    if (bytes !== null) found.push({ where, bytes: bytes.toString('base64') });
  }
  redis.disconnect();
  // The longest tell most; the shortest are those that were merged away.
  found.sort((a, b) => b.bytes.length - a.bytes.length);
  return [...found.slice(0, STATES_A_SERVICE - 1), ...found.slice(STATES_A_SERVICE - 1).slice(-1)];
}

function keep(area: string, written: readonly Written[], say: (line: string) => void): void {
  const folder = join(ROOT, area, 'test/previous');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'previous.json'), `${JSON.stringify(written, undefined, 2)}\n`);
  say(`${area}: ${written.length} kept`);
}
