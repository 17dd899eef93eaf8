import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { onPath } from '#tools/servers/binaries.ts';
import { FAULTS, type FaultName, planOf } from './plan.ts';
import { countedSeconds, HEADING, LAG_LIMIT, type RunResult, runPlan } from './run.ts';

const HELP = `npm run faults -- [options]

Starts a cluster of its own (three NATS servers, Redis, ClickHouse, every service), keeps it under load, does it harm of every kind
in an order the seed decides, and holds what became of the events against what the sender was told. tools/faults/README.md says
how each fault is made and what is checked. Takes some seven minutes a seed.

  --seeds 1,2,3     plans to play, one after the other     (default 1)
  --only A,B        nothing but these faults
  --rate N          events a second                        (default 100)
  --scale X         makes what lasts (pauses, partitions) last X times as long   (default 1)
  --limit SECONDS   recovery that still passes             (default 5; where NATS has to elect leaders, from when it has
                    them: that takes it 4 to 9 s)
  --json            the last line is the result as JSON
  --keep            keeps the folders, with logs
  --help

Faults: ${FAULTS.join(', ')}.
Exit code 0: nothing lost, nothing double, every recovery in time. 1: something was not. 2: bad options.`;

interface Options {
  readonly seeds: readonly number[];
  readonly only: readonly FaultName[] | undefined;
  readonly rate: number;
  readonly scale: number;
  readonly limit: number;
  readonly json: boolean;
  readonly keep: boolean;
}

class UsageError extends Error {}

function readOptions(args: readonly string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { seeds: text, only: text, rate: text, scale: text, limit: text, json: flag, keep: flag, help: flag },
  });
  if (values.help) return undefined;
  const number = (name: string, value: string | undefined, otherwise: number, most: number) => {
    const result = value === undefined ? otherwise : Number(value);
    if (!(result > 0 && result <= most))
      throw new UsageError(`--${name} must be a number above 0 and at most ${most}, not ${value}.`);
    return result;
  };
  const only = values.only?.split(',').map((name) => {
    const known = FAULTS.find((fault) => fault === name.trim());
    if (known === undefined) throw new UsageError(`--only: ${name} is none of ${FAULTS.join(', ')}.`);
    return known;
  });
  const seeds = (values.seeds ?? '1').split(',').map((seed) => number('seeds', seed, 1, 2 ** 31));
  return {
    seeds,
    only,
    rate: number('rate', values.rate, 100, 10_000),
    scale: number('scale', values.scale, 1, 10),
    limit: number('limit', values.limit, 5, 3_600),
    json: values.json ?? false,
    keep: values.keep ?? false,
  };
}

/** Again in a mount namespace of our own, so that small disks can be mounted, and are gone with us however we end. */
function inOwnMounts(): number | undefined {
  if (process.env.RECUR_FAULTS_OWN_MOUNTS !== undefined) return undefined;
  if (process.getuid?.() !== 0 || onPath('unshare') === undefined) return undefined;
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) return undefined;
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', ['--mount', '--propagation', 'private', ...again], {
    stdio: 'inherit',
    env: { ...process.env, RECUR_FAULTS_OWN_MOUNTS: '1' },
  });
  return status ?? 1;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  const elsewhere = inOwnMounts();
  if (elsewhere !== undefined) return elsewhere;
  const results: RunResult[] = [];
  for (const seed of options.seeds) {
    const plan = planOf(seed, options.only);
    console.log(
      `\nseed ${seed}: ${plan.order.length} faults at ${options.rate} events/s (machine load ${loadavg()[0]?.toFixed(1)})`,
    );
    console.log(HEADING);
    const { rate, scale, keep } = options;
    const result = await runPlan({ plan, rate, scale, keep, say: (line) => console.log(line) });
    results.push(result);
    show(result);
  }
  return conclude(results, options);
}

function show({ balances, acknowledged, refusals, deadLetters, seconds }: RunResult): void {
  console.log(
    `\n${acknowledged} events acknowledged, ${refusals} requests had to be sent again; ${seconds.toFixed(0)} s`,
  );
  console.log(`${'what'.padEnd(32)} ${'expected'.padStart(9)} ${'lost'.padStart(6)} ${'double'.padStart(6)}`);
  for (const { what, expected, lost, duplicated, examples } of balances) {
    console.log(
      `${what.padEnd(32)} ${String(expected).padStart(9)} ${String(lost).padStart(6)} ${String(duplicated).padStart(6)}`,
    );
    for (const example of examples) console.log(`    ${example}`);
  }
  console.log(`${'dead letters'.padEnd(32)} ${String(deadLetters.expected).padStart(9)}   found ${deadLetters.found}`);
}

function conclude(results: readonly RunResult[], { limit, json }: Options): number {
  const sum = (pick: (b: RunResult['balances'][number]) => number) =>
    results.flatMap(({ balances }) => balances).reduce((total, each) => total + pick(each), 0);
  const [lost, duplicated] = [sum((b) => b.lost), sum((b) => b.duplicated)];
  const letters = results.every(({ deadLetters: { expected, found } }) => expected === found);
  const played = results.flatMap(({ seed, faults }) => faults.map((fault) => ({ seed, ...fault })));
  const late = played.filter((f) => f.skipped === undefined && countedSeconds(f) > limit);
  const skipped = played.filter((f) => f.skipped !== undefined);
  const ok = lost === 0 && duplicated === 0 && letters && late.length === 0;
  console.log(
    `\n${ok ? 'passed' : 'FAILED'}: ${lost} lost, ${duplicated} double; lag below ${LAG_LIMIT} s within ${limit} s (of NATS having voted) after ` +
      `${played.length - skipped.length - late.length} of ${played.length - skipped.length} faults` +
      (skipped.length > 0 ? `; ${skipped.length} could not be done here` : ''),
  );
  for (const f of late) console.log(`  seed ${f.seed}: ${f.fault}: ${f.recoverySeconds?.toFixed(1) ?? 'not at all'}`);
  if (json) {
    const faults = played.map(
      ({ seed, fault, recoverySeconds, awaySeconds, worstLagSeconds, detail, skipped: why }) => ({
        seed,
        fault,
        recovery_seconds: recoverySeconds,
        away_seconds: awaySeconds,
        max_lag_seconds: worstLagSeconds,
        detail,
        ...(why === undefined ? {} : { skipped: why }),
      }),
    );
    console.log(JSON.stringify({ ok, lost, duplicated, faults }));
  }
  return ok ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
    console.error(usage ? `${(error as Error).message} Try --help.` : error);
    process.exit(usage ? 2 : 1);
  },
);
