import { join } from 'node:path';
import { jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { STREAMS } from '#lib/topology/topology.ts';
import { ROOT } from '#tools/servers/node.ts';
import { startServers } from '#tools/testkit/servers.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, median, short, whole } from './result.ts';
import { runScript } from './script.ts';

const DECISIONS = 100_000;
const ROUNDS = 5;
/** Workers of the bare program that decide at the same time: the ratio is over these. */
const WORKERS = 64;
/** A worker by itself decides so many fewer. */
const FEWER_ALONE = 5;
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
      const ours = await turnOf(OURS, { ...env, ROUND: String(round) });
      const bare = await turnOf(BARE, { ...env, ROUND: String(round), WORKERS: String(WORKERS) });
      const fewer = String(Math.round(events / FEWER_ALONE));
      const alone = await turnOf(BARE, { ...env, ROUND: `${round}-alone`, WORKERS: '1', PEOPLE: fewer });
      turns.push({ ours, bare, alone });
      console.log(
        `round ${round}: ours ${tell(ours)}\n  ${WORKERS} bare workers ${tell(bare)}: ratio ${short(over(ours, bare), 2)}\n` +
          `  one bare worker ${tell(alone)}: ratio ${short(over(ours, alone), 2)}`,
      );
    }
    return report(turns, events);
  } finally {
    await servers.stop();
  }
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
  const ratios = turns.map(({ ours, bare }) => over(ours, bare));
  const alone = turns.map(({ ours, alone }) => over(ours, alone));
  const cpuRatio = mean(({ ours, bare }) => (bare.cpuUs + bare.redisUs) / (ours.cpuUs + ours.redisUs));
  const list = (values: readonly number[]) => values.map((value) => short(value, 2)).join(', ');
  console.log(
    `\nours over ${WORKERS} bare workers: ${list(ratios)} in decisions/s; over one: ${list(alone)}. ` +
      `A bare decision takes ${short(cpuRatio, 2)} of the CPU of one of ours, Redis included`,
  );
  return {
    bench: 'sends',
    value: mean(({ ours }) => ours.perSecond),
    unit: 'decisions/s',
    ratio: median(ratios),
    cpuUsPerEvent: mean(({ ours }) => ours.cpuUs),
    detail: {
      ...{ customers: events, workers: WORKERS, ratios, ratios_one_worker: alone, cpu_ratio: cpuRatio },
      ...{ redis_us: mean(({ ours }) => ours.redisUs), bare_per_second: mean(({ bare }) => bare.perSecond) },
      ...{ bare_cpu_us: mean(({ bare }) => bare.cpuUs), bare_redis_us: mean(({ bare }) => bare.redisUs) },
      ...{ one_worker_per_second: mean(({ alone }) => alone.perSecond) },
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
