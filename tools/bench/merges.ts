import { Redis } from 'ioredis';
import { IdentityServiceClient, type IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import { ProfileServiceClient, type ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { Arrival } from './arrival.ts';
import { batchesOf, eventsIn } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, perEvent, readCpu, total } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';
import { grpcSender, sendAll } from './send.ts';

const LINKS = 100_000;
const SIZES = { from: 300, to: 500 };
const CONCURRENCY = 8;
const PATIENCE_MS = 600_000;
const PAGE = 1_000;
/** Profiles looked at one by one. */
const PROFILES = 2_000;
const SAMPLE = 5_000;

const said = (n: number, rest: Partial<ShopEvent>): ShopEvent => ({
  channel: 'web',
  type: 'track',
  event: 'Product Viewed',
  messageId: `merge-${n}`,
  timestamp: new Date().toISOString(),
  ...rest,
});

const guest = (i: number) => `guest-${i}`;
const account = (i: number) => `account-${i}`;

/** As many guests and accounts as links, each with an event of its own; then one event a pair that says they are one. */
function* before(links: number): Generator<ShopEvent> {
  for (let i = 0; i < links; i++) yield said(i, { anonymousId: guest(i) });
  for (let i = 0; i < links; i++) yield said(links + i, { userId: account(i) });
}

function* storm(links: number): Generator<ShopEvent> {
  for (let i = 0; i < links; i++) yield said(2 * links + i, { anonymousId: guest(i), userId: account(i) });
}

/** A storm of merges: every event joins two customers whom profile and segmentation both know. */
export async function merges(options: BenchOptions): Promise<BenchResult> {
  const links = options.events ?? LINKS;
  const cluster = await startBenchCluster({
    ...options,
    only: ['nats', 'redis', 'ingest', 'identity', 'profile', 'segmentation'],
  });
  const { grpc, apiToken } = cluster.endpoints;
  const settings = { token: apiToken, deadlineMs: 20_000 };
  const identity = createClient(IdentityServiceClient, grpc.identity, settings);
  const profile = createClient(ProfileServiceClient, grpc.profile, settings);
  try {
    const arrival = await Arrival.open(cluster);
    const calm = await send(cluster, arrival, before(links));
    const bytes = await bytesPerIdentifier(cluster.endpoints.redisUrl);
    console.log(`before: ${whole(calm.events)} events, ${whole(calm.perSecond)} events/s, no merge`);
    const wild = await send(cluster, arrival, storm(links));
    console.log(
      `storm:  ${whole(wild.events)} merges, ${whole(wild.perSecond)} events/s, ${short(wild.cpu)} µs CPU each`,
    );
    const wrong = await wrongOnes(identity, profile, links);
    console.log(
      `after:  ${wrong.apart} of ${whole(links)} pairs apart, ${wrong.strangers} with strangers, ` +
        `${wrong.profiles} of ${whole(wrong.looked)} profiles without their three events\n` +
        `${short(bytes.perIdentifier)} bytes of Redis an identifier: ${short(bytes.index)} who has it, ${short(bytes.node)} a customer`,
    );
    if (wrong.apart + wrong.strangers + wrong.profiles > 0) throw new Error('not every pair is one customer');
    await arrival.close();
    return {
      bench: 'merges',
      value: wild.perSecond,
      unit: 'events/s',
      ratio: wild.perSecond / calm.perSecond,
      cpuUsPerEvent: wild.cpu,
      detail: { links, calm_events_per_second: calm.perSecond, cpu_by_process: wild.byProcess, wrong, bytes },
    };
  } finally {
    identity.close();
    profile.close();
    await cluster.stop();
  }
}

async function send(cluster: Cluster, arrival: Arrival, events: Iterable<ShopEvent>) {
  const batches = [...batchesOf(events, SIZES)];
  const { grpc, apiToken } = cluster.endpoints;
  const sender = grpcSender(grpc.ingest, apiToken, 2);
  const processes = processesOf(cluster);
  const cpuBefore = readCpu(processes);
  const started = performance.now();
  await sendAll(batches, CONCURRENCY, sender.send);
  await sender.close();
  await arrival.everywhere(PATIENCE_MS);
  const seconds = (performance.now() - started) / 1000;
  const count = eventsIn(batches);
  const byProcess = perEvent(cpuBetween(cpuBefore, readCpu(processes)), count);
  return { events: count, perSecond: count / seconds, cpu: total(byProcess), byProcess };
}

/** Every pair must be one customer, and nobody else's; profiles must have the events of both. */
async function wrongOnes(
  identity: RpcClient<typeof IdentityServiceService>,
  profiles: RpcClient<typeof ProfileServiceService>,
  links: number,
) {
  const owners = new Map<string, number>();
  const wrong = { apart: 0, strangers: 0, profiles: 0, looked: 0 };
  for (let at = 0; at < links; at += PAGE) {
    const pairs = Array.from({ length: Math.min(PAGE, links - at) }, (_, i) => at + i);
    const resolve = async (type: string, name: (i: number) => string) => {
      const identifiers = pairs.map((i) => ({ type, key: { $case: 'value' as const, value: name(i) } }));
      return (await identity.resolveIdentifiers({ identifiers })).results;
    };
    const [guests, accounts] = [await resolve('anonymous_id', guest), await resolve('user_id', account)];
    for (const [n, i] of pairs.entries()) {
      const id = guests[n]?.customerId ?? '';
      if (id === '' || id !== accounts[n]?.customerId) wrong.apart++;
      if (owners.has(id)) wrong.strangers++;
      owners.set(id, i);
    }
  }
  const every = Math.max(1, Math.floor(owners.size / PROFILES));
  for (const [n, customerId] of [...owners.keys()].entries()) {
    if (n % every !== 0) continue;
    wrong.looked++;
    const customer = { $case: 'customerId' as const, value: customerId };
    const { profile } = await profiles.getProfile({ customer, readMask: ['events'] });
    const viewed = profile?.events.find(({ name }) => name === 'Product Viewed');
    if (viewed?.count !== 3) wrong.profiles++;
  }
  return wrong;
}

/** What Redis needs for the graph, from a sample of its keys: who has an identifier, and the customers, shared by all of them. */
async function bytesPerIdentifier(redisUrl: string) {
  const redis = new Redis(redisUrl);
  const found = { i: { keys: 0, bytes: 0, looked: 0 }, n: { keys: 0, bytes: 0, looked: 0 } };
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', '{identity.0}:[in]:*', 'COUNT', 2_000);
    for (const key of keys) {
      const kind = found[key.slice('{identity.0}:'.length)[0] as 'i' | 'n'];
      kind.keys++;
      if (kind.looked >= SAMPLE) continue;
      kind.looked++;
      kind.bytes += Number(await redis.memory('USAGE', key));
    }
    cursor = next;
    if (cursor === '0') break;
  }
  redis.disconnect();
  const mean = ({ bytes, looked }: { bytes: number; looked: number }) => (looked === 0 ? 0 : bytes / looked);
  const [index, node] = [mean(found.i), mean(found.n)];
  return { perIdentifier: index + (node * found.n.keys) / found.i.keys, index, node, identifiers: found.i.keys };
}
