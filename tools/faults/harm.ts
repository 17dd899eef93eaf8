import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import type { Child } from '#tools/servers/child.ts';
import type { Load } from './load.ts';
import type { FaultName, Plan } from './plan.ts';
import type { FaultServers, NatsNode } from './servers.ts';
import type { Way, Weather } from './way.ts';

/** All that harm can be done to. */
export interface World {
  readonly cluster: Cluster;
  readonly servers: FaultServers;
  readonly load: Load;
  readonly plan: Plan;
  /** Between the service the plan cuts off and its stores. */
  readonly ways: readonly Way[];
  readonly toClickHouse: Way;
  readonly clockDir: string;
  readonly rate: number;
  /** How long what lasts lasts; a tenth of the real thing for a quick look. */
  readonly scale: number;
}

export interface Harm {
  /** To whom, in what way. */
  readonly detail: string;
  /** Dead letters that must come of it. */
  readonly deadLetters?: number;
  /** When it was over (of performance.now), when something was done about it afterwards: that is part of the recovery. */
  readonly over?: number;
  /** Why it could not be done here. */
  readonly skipped?: string;
}

const SECOND = 1_000;
const HOUR = 3_600_000;

/** Does the harm, and undoes what has to be undone. When it resolves, the fault is over and the time of recovery begins. */
export async function inflict(fault: FaultName, world: World): Promise<Harm> {
  const { cluster, servers, plan, load } = world;
  const lasting = (seconds: number) => sleep(seconds * SECOND * world.scale);
  if (fault.startsWith('kill ') && cluster.members.some(({ name }) => `kill ${name}` === fault)) {
    await cluster.process(fault.slice(5)).kill9();
    return { detail: 'kill -9' };
  }
  switch (fault) {
    case 'pause service':
      await paused(cluster.process(plan.paused), () => lasting(30));
      return { detail: `${plan.paused}: SIGSTOP ${30 * world.scale} s` };
    case 'kill all nats':
      await Promise.all(servers.nats.map(({ child }) => child.kill9()));
      return { detail: 'three servers, kill -9' };
    case 'kill nats leader': {
      const leader = await leaderOf(servers);
      await leader.child.kill9();
      return { detail: `${leader.name}, leader of LOG: kill -9` };
    }
    case 'pause nats leader': {
      const leader = await leaderOf(servers);
      await paused(leader.child, () => lasting(10));
      return { detail: `${leader.name}, leader of LOG: SIGSTOP ${10 * world.scale} s` };
    }
    case 'restart redis':
      await servers.redis.child.kill9();
      return { detail: 'kill -9, reads its append-only file' };
    case 'redis loses a second':
      return await loseSecond(servers);
    case 'clickhouse refuses':
      await during(world.toClickHouse, { refuse: true }, () => lasting(10));
      return { detail: `connections refused for ${10 * world.scale} s` };
    case 'clickhouse is slow':
      await during(world.toClickHouse, { delayMs: 2_000 }, () => lasting(10));
      return { detail: `every piece 2 s late, for ${10 * world.scale} s` };
    case 'kill clickhouse':
      await servers.clickhouse.child.kill9();
      return { detail: 'kill -9' };
    case 'nats disk full':
    case 'redis disk full':
      return await fillDisk(fault === 'nats disk full' ? 'nats' : 'redis', servers, () => lasting(5));
    case 'clock jumps':
      return await jumpClock(world, () => lasting(5));
    case 'partition':
      for (const way of world.ways) way.weather = { cut: true };
      await lasting(15);
      for (const way of world.ways) way.weather = {};
      return { detail: `${plan.cut}: nothing to or from its stores for ${15 * world.scale} s` };
    case 'packet loss':
      for (const way of world.ways) way.weather = { lossPercent: 10 };
      await lasting(10);
      for (const way of world.ways) way.weather = {};
      return { detail: `${plan.cut}: 10 % of the pieces 200 ms late, for ${10 * world.scale} s` };
    case 'poison':
      return await poison(servers);
    case 'burst':
      await load.burst(world.rate * 100);
      return { detail: `${world.rate * 100} events at once` };
    default:
      throw new Error(`Nobody knows how to do ${fault}.`);
  }
}

async function paused(child: Child, meanwhile: () => Promise<void>): Promise<void> {
  child.pause();
  await meanwhile();
  child.resume();
}

async function during(way: Way, weather: Weather, meanwhile: () => Promise<void>): Promise<void> {
  way.weather = weather;
  await meanwhile();
  way.weather = {};
}

async function leaderOf(servers: FaultServers): Promise<NatsNode> {
  return withNats(servers, async (nats) => {
    const { cluster } = await (await jetstreamManager(nats)).streams.info(STREAMS.log.name);
    const leader = servers.nats.find(({ name }) => name === cluster?.leader);
    if (leader === undefined) throw new Error(`LOG has no leader: ${JSON.stringify(cluster)}`);
    return leader;
  });
}

/** What Redis wrote within the second before it ended is not in its file, as after a loss of power. */
async function loseSecond(servers: FaultServers): Promise<Harm> {
  const before = servers.aofBytes();
  await sleep(SECOND);
  servers.redis.child.pause();
  const lost = servers.aofBytes() - before;
  servers.cutAof(before);
  await servers.redis.child.kill9();
  return { detail: `kill -9, the last ${lost} bytes of its file gone` };
}

async function fillDisk(store: 'nats' | 'redis', servers: FaultServers, meanwhile: () => Promise<void>): Promise<Harm> {
  if (!servers.smallDisks) return { detail: '', skipped: 'no file system of its own could be mounted here' };
  const makeRoom = servers.fill(store);
  await meanwhile();
  makeRoom();
  const over = performance.now();
  if (store === 'redis') return { detail: `no space for 5 s`, over };
  return { detail: `no space for 5 s; ${await probed(servers.nats)} of 3 restarted by their probe`, over };
}

/** A server that has given JetStream up says so, and stays so until somebody restarts it: the liveness probe does. */
async function probed(nodes: readonly NatsNode[]): Promise<number> {
  const ill: NatsNode[] = [];
  for (const node of nodes) {
    const answer = await fetch(`${node.monitorUrl}/healthz?js-enabled-only=true`).catch(() => undefined);
    if (answer?.status !== 200) ill.push(node);
  }
  await Promise.all(ill.map(({ child }) => child.restart()));
  return ill.length;
}

async function jumpClock({ plan, clockDir, cluster }: World, meanwhile: () => Promise<void>): Promise<Harm> {
  const hours = plan.random() < 0.5 ? 2 : -2;
  const file = join(clockDir, plan.jumping);
  if (!cluster.process(plan.jumping).running) throw new Error(`${plan.jumping} does not run`);
  writeFileSync(file, String(hours * HOUR));
  await meanwhile();
  writeFileSync(file, '0');
  return { detail: `${plan.jumping}: ${hours > 0 ? '+' : ''}${hours} h for 5 s, and back` };
}

/** Records nobody can read, put where only we ourselves write. */
async function poison(servers: FaultServers): Promise<Harm> {
  // A length that reaches beyond the end; a wire type there is none of; text that is no UTF-8 is fine and not among them.
  const bodies = [Buffer.from([0x0a, 0xff, 0x01]), Buffer.from([0x0f]), Buffer.from([0x3a, 0x05, 0x0a, 0x7f])];
  const blank = {
    customerId: '',
    kind: RecordKind.RECORD_KIND_EVENT,
    timeMs: Date.now(),
    originSeq: 0,
    originIndex: 0,
  };
  const records = bodies.map((body) => ({ ...blank, fromTimer: false, body }));
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
  await withNats(servers, (nats) => jetstream(nats).publish(subjects.ingest(LANE), frame));
  // A command that is not alone in its frame, and one that cannot be read.
  const command = { ...blank, fromTimer: false, kind: RecordKind.RECORD_KIND_MERGE_COMMAND };
  const mixed = [bodies[1], Buffer.alloc(0)].map((body) => ({ ...command, body: body as Buffer }));
  for (const commands of [mixed, mixed.slice(0, 1)]) {
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: commands });
    await withNats(servers, (nats) => jetstream(nats).publish(subjects.ingest(LANE), frame));
  }
  // And a frame that is none.
  await withNats(servers, (nats) => jetstream(nats).publish(subjects.ingest(LANE), Buffer.from([0x22, 0x7f])));
  return {
    detail: `${bodies.length} events, 3 commands and a frame that cannot be read`,
    deadLetters: bodies.length + 4,
  };
}

async function withNats<T>(servers: FaultServers, use: (nats: NatsConnection) => Promise<T>): Promise<T> {
  const nats = await connect({ servers: servers.natsUrls.split(','), timeout: 5_000 });
  try {
    return await use(nats);
  } finally {
    await nats.close();
  }
}
