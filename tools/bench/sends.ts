import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { STREAMS } from '#lib/topology/topology.ts';
import { ROOT } from '#tools/servers/node.ts';
import { startServers } from '#tools/testkit/servers.ts';
import type { BenchOptions } from './options.ts';
import { profileText, readProfiles } from './profile.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { runScript } from './script.ts';

const DECISIONS = 100_000;
const ROUNDS = 5;
/**
 * The ratio is over one bare worker: round trips that are plain, each awaited, none sharing a packet with another, and what a queue's
 * worker does unless it is told otherwise (BullMQ: concurrency 1). So many workers at a time on one connection are the most a process
 * gets out of such commands: they leave and come in batches without being asked to. Both are told.
 */
const WORKERS = 64;
/** A worker by itself decides so many fewer. */
const FEWER_ALONE = 5;
const PROFILE_LINES = 40;
const OURS = join(ROOT, 'services/messaging/bench/decisions.ts');
const BARE = join(import.meta.dirname, 'bare/decisions.ts');

/** What a turn says last, as JSON. */
interface Turn {
  readonly decisions: number;
  readonly seconds: number;
  /** Of the deciding process, and of Redis, µs. */
  readonly cpuUs: number;
  readonly redisUs: number;
}

/** Of one turn; CPU per decision. */
interface Told {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly redisUs: number;
}

interface Round {
  readonly ours: Told;
  readonly bare: Told;
  readonly alone: Told;
}

/** Decisions of messaging, and of a bare program on the same Redis. */
export async function sends(options: BenchOptions): Promise<BenchResult> {
  const { partitions } = options;
  const [rounds, events] = [options.rounds ?? ROUNDS, options.events ?? DECISIONS];
  const servers = await startServers({ nats: true, redis: true });
  const { nats, redis } = servers;
  try {
    await makeStreams(nats.url);
    const env = {
      ...{ NATS_URL: nats.url, REDIS_URL: redis.url, PARTITIONS: String(partitions), PEOPLE: String(events) },
      ...{ NODE_OPTIONS: options.nodeOptions },
    };
    console.log(`${whole(events)} customers, who are known and have been written to once`);
    await runScript([OURS], { ...env, ROUND: '0' });
    const turns: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      const ours = await turnOf(OURS, { ...env, ROUND: String(round), CPU_PROF: profileDir(options) });
      const bare = await turnOf(BARE, { ...env, ROUND: String(round), WORKERS: String(WORKERS) });
      const fewer = String(Math.round(events / FEWER_ALONE));
      const alone = await turnOf(BARE, { ...env, ROUND: `${round}-alone`, WORKERS: '1', PEOPLE: fewer });
      turns.push({ ours, bare, alone });
      console.log(
        `round ${round}: ours ${tell(ours)}\n  ${WORKERS} bare workers ${tell(bare)}: ratio ${short(over(ours, bare), 2)}\n` +
          `  one bare worker ${tell(alone)}: ratio ${short(over(ours, alone), 2)}`,
      );
    }
    if (options.cpuProf) {
      const cpuUs = { messaging: median(turns.map(({ ours }) => ours.cpuUs)) };
      console.log(profileText(readProfiles(options.cpuProf), PROFILE_LINES, cpuUs));
    }
    return report(turns, events);
  } finally {
    await servers.stop();
  }
}

/** Where our turns leave their profiles; empty: none are taken. */
function profileDir({ cpuProf }: BenchOptions): string {
  if (cpuProf === undefined) return '';
  const dir = join(resolve(cpuProf), 'messaging');
  mkdirSync(dir, { recursive: true });
  return dir;
}

async function turnOf(script: string, env: Readonly<Record<string, string>>): Promise<Told> {
  const output = await runScript([script], env);
  const { decisions, seconds, cpuUs, redisUs } = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Turn;
  return { perSecond: decisions / seconds, cpuUs: cpuUs / decisions, redisUs: redisUs / decisions };
}

const tell = ({ perSecond, cpuUs, redisUs }: Told): string =>
  `${whole(perSecond)}/s, ${short(cpuUs)} µs CPU and ${short(redisUs)} µs of Redis each`;

const over = (a: Told, b: Told): number => a.perSecond / b.perSecond;

function report(turns: readonly Round[], events: number): BenchResult {
  const mean = (of: (turn: Round) => number) => median(turns.map(of));
  const ratios = turns.map(({ ours, alone }) => over(ours, alone));
  const many = turns.map(({ ours, bare }) => over(ours, bare));
  const cpu = ({ cpuUs, redisUs }: Told) => cpuUs + redisUs;
  const cpuRatio = mean(({ ours, alone }) => cpu(alone) / cpu(ours));
  const cpuMany = mean(({ ours, bare }) => cpu(bare) / cpu(ours));
  const list = (values: readonly number[]) => values.map((value) => short(value, 2)).join(', ');
  console.log(
    `\nours over one bare worker: ${list(ratios)} in decisions/s; over ${WORKERS}: ${list(many)}. ` +
      `A decision of one worker takes ${short(cpuRatio, 2)} of the CPU of one of ours, Redis included; of ${WORKERS}, ${short(cpuMany, 2)}`,
  );
  return {
    bench: 'sends',
    value: mean(({ ours }) => ours.perSecond),
    unit: 'decisions/s',
    ratio: median(ratios),
    cpuUsPerEvent: mean(({ ours }) => ours.cpuUs),
    detail: {
      ...{ customers: events, redis_us: mean(({ ours }) => ours.redisUs), ratios, cpu_ratio: cpuRatio },
      ...{ bare_per_second: mean(({ alone }) => alone.perSecond), bare_cpu_us: mean(({ alone }) => alone.cpuUs) },
      bare_redis_us: mean(({ alone }) => alone.redisUs),
      ...{ workers: WORKERS, ratio_many_workers: median(many), ratios_many_workers: many, cpu_ratio_many: cpuMany },
      many_per_second: mean(({ bare }) => bare.perSecond),
      ...{ many_cpu_us: mean(({ bare }) => bare.cpuUs), many_redis_us: mean(({ bare }) => bare.redisUs) },
    },
  };
}

/** As boot makes them. */
async function makeStreams(natsUrl: string): Promise<void> {
  const nats = await connect({ servers: natsUrl });
  const jsm = await jetstreamManager(nats);
  for (const { name, subjects } of [STREAMS.log, STREAMS.deadLetters]) {
    await jsm.streams.add({ name, subjects: [...subjects], storage: StorageType.File, allow_direct: true });
  }
  await nats.close();
}
