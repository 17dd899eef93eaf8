import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pageOf } from './page.ts';
import { LOADS, type Load, runLoad } from './run.ts';

const HELP = `npm run loadtest -- <load> [options]

Starts a cluster of its own on free ports, plays a load against it with k6, counts what arrived, and stops it. The last line is the
result as JSON; the exit code is 1 when a threshold is broken or an event is lost or double.

  smoke       every call works; half a minute
  steady      a constant load, two minutes
  spike       11.11: ten times as much within a minute, and back
  soak        hours at half of a good day (--seconds 7200)
  scale-out   a constant load while profile and segmentation go from one replica to three and back

  --rate N        events a second (spike: before it)
  --seconds N     how long
  --partitions N  of the cluster (default 4)
  --record        writes loadtest/results/<load>.md
  --help

Against another cluster, k6 alone: loadtest/README.md.`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      rate: { type: 'string' },
      seconds: { type: 'string' },
      partitions: { type: 'string' },
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const load = LOADS.find((each) => each === positionals[0]);
  if (values.help || load === undefined) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  return play(load, values);
}

async function play(
  load: Load,
  values: { rate?: string; seconds?: string; partitions?: string; record: boolean },
): Promise<number> {
  const whole = (name: 'rate' | 'seconds' | 'partitions') => {
    const text = values[name];
    if (text !== undefined && !/^[1-9]\d{0,6}$/.test(text))
      throw new Error(`--${name} must be a whole number from 1, not ${text}.`);
    return text === undefined ? undefined : Number(text);
  };
  const report = await runLoad(load, {
    ...{ rate: whole('rate'), seconds: whole('seconds'), partitions: whole('partitions') },
    say: (line) => console.log(line),
  });
  for (const broken of report.broken_thresholds) console.log(`broken: ${broken}`);
  if (values.record)
    writeFileSync(join(import.meta.dirname, 'results', `${load}.md`), pageOf(report, process.argv.slice(2)));
  console.log(JSON.stringify(report));
  return report.passed ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
