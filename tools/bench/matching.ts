import { distance } from 'fastest-levenshtein';
import { candidatesOf, passesOf } from '#lib/matching/blocking.ts';
import { fieldsOfColumn } from '#lib/matching/fields.ts';
import { type MatchResult, match } from '#lib/matching/match.ts';
import { bCubed, pairwise } from '#lib/matching/metric.ts';
import { makeTable, type Table } from '#lib/matching/table.ts';
import { type Invented, inventPeople } from '#lib/matching/testing/invent.ts';
import { dataSet } from '#tools/e2e/data-set.ts';
import { readRows } from '#tools/importer/rows.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, median, short, whole } from './result.ts';

const CUSTOMERS = 100_000;
const ROUNDS = 3;

/** How many customers a second are compared with all others, and how well. */
export async function matching({ events = CUSTOMERS, rounds = ROUNDS, bare }: BenchOptions): Promise<BenchResult> {
  const febrl: Record<string, unknown> = {};
  for (const name of ['dataset1', 'dataset3']) febrl[name] = show(`febrl ${name}`, await febrlSet(name));
  const people = (language: 'en' | 'zh') =>
    inventPeople({
      ...{ language, seed: 1, originals: Math.round(events * 0.8), duplicates: Math.round(events * 0.2) },
      ...{ most: 3, errors: 3, families: 0.1, moved: 0 },
    });
  const chinese = show(`${whole(events)} Chinese`, people('zh'));
  const english = people('en');
  const turns: { seconds: number; cpu: number; bareSeconds: number; candidates: number }[] = [];
  let last: ReturnType<typeof show> | undefined;
  for (let i = 0; i < rounds; i++) {
    const { seconds, cpu, candidates, ...quality } = show(`${whole(events)} English`, english);
    last = { seconds, cpu, candidates, ...quality };
    turns.push({ seconds, cpu, candidates, bareSeconds: bare ? bareLoop(english) : Number.NaN });
  }
  const rate = median(turns.map((t) => events / t.seconds));
  const pairs = median(turns.map((t) => t.candidates / t.seconds));
  const ratio = bare ? median(turns.map((t) => t.bareSeconds / t.seconds)) : null;
  console.log(
    `\n${whole(rate)} customers/s, ${whole(pairs)} candidate pairs/s${ratio === null ? '' : `, ${short(ratio, 2)} of the bare loop`}`,
  );
  const cpuUsPerEvent = (median(turns.map((t) => t.cpu)) * 1e6) / events;
  const detail = { pairs_per_s: pairs, english: last, chinese, febrl };
  return { bench: 'matching', value: rate, unit: 'customers/s', ratio, cpuUsPerEvent, detail };
}

function show(name: string, { specs, rows, truth }: Invented) {
  const started = performance.now();
  const cpuBefore = process.cpuUsage();
  const result = match(specs, rows);
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const measured = { seconds, cpu: (user + system) / 1e6, ...qualityOf(result, truth) };
  const { precision, recall, f, candidates } = measured;
  console.log(
    `${name}: ${short(seconds, 2)} s, ${whole(candidates)} pairs, precision ${short(precision, 4)}, recall ${short(recall, 4)}, F ${short(f, 4)} ` +
      `(threshold ${short(measured.threshold, 3)}; it expects ${short(measured.expected_precision, 4)} and ${short(measured.expected_recall, 4)})`,
  );
  return measured;
}

function qualityOf({ groups, threshold, candidates, review }: MatchResult, truth: readonly number[]) {
  const { precision, recall, f, truePairs, predictedPairs, goldPairs } = pairwise([...groups], truth);
  const cubed = bCubed([...groups], truth);
  return {
    ...{ precision, recall, f, wrong_pairs: predictedPairs - truePairs, missing_pairs: goldPairs - truePairs },
    ...{ b_cubed_precision: cubed.precision, b_cubed_recall: cubed.recall },
    ...{ threshold: threshold.probability, expected_precision: threshold.precision, expected_recall: threshold.recall },
    ...{ candidates, review: review.length },
  };
}

/** What cannot be avoided: the candidates found, and one string distance a field that differs. It decides nothing. */
function bareLoop({ specs, rows }: Invented): number {
  const started = performance.now();
  const table: Table = makeTable(specs, rows);
  const passes = passesOf(table);
  let sum = 0;
  for (let i = 0; i < passes.length; i++) {
    candidatesOf(passes, i, (a, b) => {
      for (const { ids, texts } of table.columns) {
        const [x, y] = [ids[a] as number, ids[b] as number];
        if (x !== 0 && y !== 0 && x !== y) sum += distance(texts[x] as string, texts[y] as string);
      }
    });
  }
  if (sum === 0) throw new Error('nothing was compared');
  return (performance.now() - started) / 1_000;
}

/** Without the number that identifies people; who is who is only used to judge. */
async function febrlSet(name: string): Promise<Invented> {
  const cells: Record<string, string>[] = [];
  for await (const row of readRows(dataSet(`febrl/${name}.csv.gz`), { delimiter: ',', onBytes: () => {} })) {
    cells.push(Object.fromEntries(Object.entries(row.cells ?? {}).map(([key, value]) => [key.trim(), value.trim()])));
  }
  const columns = Object.keys(cells[0] ?? {}).filter((c) => c !== 'rec_id' && c !== 'soc_sec_id');
  const specs = columns.flatMap(fieldsOfColumn);
  return {
    specs,
    rows: cells.map((row) => specs.map((spec) => row[spec.column] ?? '')),
    truth: cells.map((row) => Number(row.rec_id?.split('-')[1])),
  };
}
