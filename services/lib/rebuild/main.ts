import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { addressesOf } from '#lib/boot/nats.ts';
import { ConfigError, Settings } from '#lib/config/settings.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { splitTimerKey } from '#lib/stream/timers.ts';
import { createLogger } from '#lib/telemetry/logger.ts';
import type { Difference } from './compare.ts';
import { type RebuildParts, type Rebuilt, rebuildStage } from './rebuild.ts';

/** What a service does when it is asked to rebuild. `Each`: what is found of one partition. */
export interface RebuildCommand<Each> {
  readonly stage: string;
  readonly rebuild: (parts: RebuildParts, partitions: readonly number[]) => AsyncIterable<Each>;
  /** Nothing is different, or nothing any more. */
  readonly equal: (each: Each) => boolean;
  /** For people, and for --json. */
  readonly text: (each: Each) => string;
  readonly plain: (each: Each) => object;
}

const HELP = `Folds the log through a service's own processor a second time, and compares what comes out with its live state, key by key,
at the same place of the log. Publishes nothing and sends nothing.

  --partition N   only this one (may be given several times)
  --repair        write what the fold gives where the live state is different
  --json          a line of JSON for each partition
  --help

Environment: NATS_URL, REDIS_URL, SHOP_TIME_ZONE as the service has them; SCRATCH_REDIS_URL: another Redis for the fold, when the
live one has no room for a second state of one partition. Partitions and clock are those the cluster was made with.

Each partition is folded while its service goes on; then it is held, for the time a comparison takes, and goes on by itself.

Exit code 0: equal, or repaired. 1: different, or it could not be compared. 2: bad options.`;

/** How many differences of a partition are shown. */
export const SHOWN = 10;
const PREFIX = 'rebuild:';

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

/** The command `rebuild` of a service. @param specOf its stage, in the shop's time zone */
export const rebuildMain = <S, D>(specOf: (shopTimeZone: string) => StageSpec<S, D>): Promise<void> =>
  runRebuild((zone) => commandOf(specOf(zone)), HELP);

function commandOf<S, D>(spec: StageSpec<S, D>): RebuildCommand<Rebuilt> {
  return {
    stage: spec.stage,
    rebuild: (parts, partitions) => rebuildStage(spec, parts, partitions),
    equal: ({ differences, repaired, unsaid }) => differences.length === repaired && unsaid.length === 0,
    text: (each) => textOf(spec.stage, each),
    plain,
  };
}

/** Options, connections, what is said, and the exit code. */
export async function runRebuild<Each>(commandIn: (shopTimeZone: string) => RebuildCommand<Each>, help: string) {
  try {
    // Ended by us: a consumer that was stopped late can leave a timer, and a Job would wait for that for ever.
    process.exit(await run(commandIn, help));
  } catch (error) {
    const usage = (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') || error instanceof ConfigError;
    progress(`${(error as Error).message}${usage ? ' Try --help.' : ''}`);
    process.exit(usage ? 2 : 1);
  }
}

async function run<Each>(commandIn: (shopTimeZone: string) => RebuildCommand<Each>, help: string): Promise<number> {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: { partition: { type: 'string', multiple: true, default: [] }, repair: flag, json: flag, help: flag },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  const wanted = values.partition.map(numberOf);
  const settings = new Settings(process.env);
  const natsUrl = settings.url('NATS_URL', ['nats:', 'tls:']);
  const redisUrl = settings.url('REDIS_URL', ['redis:', 'rediss:']);
  const scratchUrl = settings.url('SCRATCH_REDIS_URL', ['redis:', 'rediss:'], { otherwise: redisUrl });
  const zone = settings.text('SHOP_TIME_ZONE', { otherwise: 'UTC' });
  settings.finish();
  const command = commandIn(zone);
  const nats = await connect({ ...addressesOf(natsUrl), name: `rebuild.${command.stage}`, timeout: 5_000 });
  const live = new Redis(redisUrl, { commandTimeout: 30_000 });
  const scratch = new Redis(scratchUrl, { commandTimeout: 30_000, keyPrefix: PREFIX });
  const logger = createLogger({ service: 'rebuild', replica: command.stage, level: 'fatal' });
  let equal = true;
  try {
    const parts = { nats, live, scratch, logger, progress, repair: values.repair };
    for await (const each of command.rebuild(parts, wanted)) {
      equal &&= command.equal(each);
      say(values.json ? JSON.stringify(command.plain(each)) : command.text(each));
    }
  } finally {
    live.disconnect();
    scratch.disconnect();
    await nats.close();
  }
  return equal ? 0 : 1;
}

function numberOf(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw Object.assign(new Error(`--partition ${text} is not the number of a partition.`), { code: 'ERR_PARSE_ARGS' });
}

function textOf(stage: string, { partition, seq, states, timers, differences, unsaid, repaired }: Rebuilt): string {
  const head = `${stage}.${partition} at ${seq}: ${states} states, ${timers} timers`;
  const lines = differences.slice(0, SHOWN).map((d) => `  ${lineOf(d)}`);
  if (differences.length > SHOWN) lines.push(`  … ${differences.length - SHOWN} more`);
  for (const { subject, records } of unsaid)
    lines.push(`  ${records} records for ${subject} that the log does not have`);
  if (lines.length === 0) return `${head}: equal`;
  const ending = repaired > 0 ? `, ${repaired} repaired` : '';
  return [`${head}: ${differences.length} differences${ending}`, ...lines].join('\n');
}

function lineOf({ what, id, have, want }: Difference): string {
  const size = (bytes: Buffer | null) => (bytes === null ? 'nothing' : `${bytes.length} bytes`);
  const name = what === 'timer' ? Object.values(splitTimerKey(id)).join(' ') : id;
  if (what === 'timer' || what === 'position')
    return `${what} ${name}: live ${have ?? 'nothing'}, folded ${want ?? 'nothing'}`;
  return `${what} ${name}: live ${size(have)}, folded ${size(want)}`;
}

const plain = ({ differences, ...rest }: Rebuilt): object => ({
  ...rest,
  differences: differences.length,
  first: differences.slice(0, SHOWN).map(lineOf),
});
