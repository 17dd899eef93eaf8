// False positives of the tests on customers nobody treated: node services/analytics/bench/aa.bench.ts [runs] [looks]; the last
// line is the result as JSON, for tools/bench.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { makeViews } from '../src/store/views.ts';
import { loadControl, runAA } from './aa-runs.ts';

const HOME = join(import.meta.dirname, '..');
const FILE = join(HOME, '../../../shared/data/hillstrom/hillstrom.csv.gz');
const [RUNS, LOOKS] = [Number(process.argv[2] ?? 2_000), Number(process.argv[3] ?? 20)];

if (!existsSync(FILE)) throw new Error(`${FILE} is missing: false positives are measured on its control arm`);
const dataDir = mkdtempSync(join(tmpdir(), 'recur-bench-'));
const engine = await ChdbEngine.open(dataDir);
try {
  await migrate(engine, await readMigrations(join(HOME, 'migrations')));
  await makeViews(engine, join(HOME, 'views'), 'UTC');
  const customers = await loadControl(engine, FILE);
  console.log(`${RUNS} A/A tests on ${customers} customers without a mail, ${LOOKS} looks each`);
  const found = await runAA(engine, { runs: RUNS, looks: LOOKS, seed: 1 }, (done) => {
    if (done % 500 === 0) console.log(`  ${done} runs`);
  });
  const share = (n: number): string => `${((100 * n) / RUNS).toFixed(2)} %`;
  console.log('\np < 5 % where there is nothing   one look, at the end   any of the looks   sequential, any look');
  for (const f of found)
    console.log(
      `${f.metric.padEnd(33)}${share(f.fixedAtEnd).padEnd(23)}${share(f.fixed).padEnd(19)}${share(f.sequential)}`,
    );
  console.log(JSON.stringify({ customers, looks: LOOKS, runs: RUNS, metrics: found }));
} finally {
  await engine.close();
  rmSync(dataDir, { recursive: true, force: true });
}
