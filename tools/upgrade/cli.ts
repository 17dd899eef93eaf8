import { parseArgs } from 'node:util';
import { buildOf, NoCommitError, previousCommit } from './previous.ts';
import { record } from './record.ts';
import { rollThrough, type UpgradeOptions, type UpgradeResult } from './run.ts';

const HELP = `npm run upgrade -- [options]

Starts a cluster of its own, keeps it under load, and replaces every process of every service one by one, as a rolling upgrade
does: the new one is started, and when it is ready the old one ends. Meanwhile customers are read from every service. At the
end everything is held against what the sender was told. tools/upgrade/README.md says what is checked.

  (nothing)           the build of this working copy, restarted
  --from previous     the version recorded in tools/upgrade/previous-commit, upgraded to this one, and rolled back again
  --from COMMIT       the same with another commit
  --no-back           no roll back
  --keep-analytics    analytics is not rolled back: where migrations came with this version, an older one refuses to start
  --rate N            events a second        (default 200)
  --limit MS          pause that still passes (default 2000; analytics has no partitions to move, and is not counted)
  --record            instead: lets that version (--from) live through a small shop, and keeps some of what it wrote for the tests
                      that read it (services/*/test/previous)
  --json              the last line is the result as JSON
  --help

Exit code 0: nothing lost, nothing double, no read failed, no pause longer than the limit. 1: something was not. 2: bad options.
3: there is no such commit in this clone.`;

class UsageError extends Error {}

const OPTIONS = {
  from: { type: 'string' },
  'no-back': { type: 'boolean' },
  'keep-analytics': { type: 'boolean' },
  record: { type: 'boolean' },
  rate: { type: 'string' },
  limit: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

function read(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}. Try --help.`);
  }
}

function number(name: string, text: string | undefined, otherwise: number, most: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from 1 to ${most}, not ${text}.`);
}

function commitOf(from: string): string {
  const commit = from === 'previous' ? previousCommit() : from;
  if (!/^\w[\w./-]*$/.test(commit)) throw new UsageError(`--from: ${commit} is no commit.`);
  return commit;
}

function builds({ from, 'no-back': only }: ReturnType<typeof read>): UpgradeOptions['builds'] {
  const ours = { name: 'this', dist: undefined };
  if (from === undefined) return [ours, ours];
  const commit = commitOf(from);
  const old = { name: commit.slice(0, 9), dist: buildOf(commit, console.log) };
  return only ? [old, ours] : [old, ours, old];
}

async function main(): Promise<number> {
  const values = read(process.argv.slice(2));
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.record) {
    await record(buildOf(commitOf(values.from ?? 'previous'), console.log), console.log);
    return 0;
  }
  const rate = number('rate', values.rate, 200, 10_000);
  const limit = number('limit', values.limit, 2_000, 600_000);
  const result = await rollThrough({
    builds: builds(values),
    replicas: { identity: 2, profile: 2, segmentation: 2 },
    keepAnalytics: values['keep-analytics'] ?? false,
    partitions: 8,
    rate,
    say: (line) => console.log(line),
  });
  return tell(result, limit, values.json ?? false);
}

function tell(result: UpgradeResult, limit: number, json: boolean): number {
  for (const { what, expected, lost, duplicated, examples } of result.balances) {
    console.log(`${what}: ${expected}, ${lost} lost, ${duplicated} double ${examples.join('; ')}`);
  }
  for (const [service, { made, again, failed, slowestMs }] of Object.entries(result.calls)) {
    console.log(
      `reads of ${service}: ${made}, ${again} to come again, ${failed} failed, slowest ${Math.round(slowestMs)} ms`,
    );
  }
  for (const error of result.errors) console.log(error);
  const sum = (of: 'lost' | 'duplicated') => result.balances.reduce((total, each) => total + each[of], 0);
  const [lost, double] = [sum('lost'), sum('duplicated')];
  const failed = Object.values(result.calls).reduce((total, each) => total + each.failed, 0);
  const longest = Math.max(...result.replaced.map(({ pauseMs }) => pauseMs));
  const refusals = result.replaced.reduce((total, each) => total + each.refusals, 0);
  console.log(
    `${result.replaced.length} processes replaced, ${result.acknowledged} events: ${lost} lost, ${double} double; ` +
      `${refusals} requests sent again; ${failed} reads failed; longest pause ${Math.round(longest)} ms`,
  );
  if (json) console.log(JSON.stringify({ ...result, lost, double, failed, longest_pause_ms: longest }));
  return lost + double + failed === 0 && longest <= limit ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof UsageError || error instanceof NoCommitError ? error.message : error);
    process.exit(error instanceof UsageError ? 2 : error instanceof NoCommitError ? 3 : 1);
  },
);
