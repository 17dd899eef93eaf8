// npm run schema: writes docs/analytics-schema.md and contract/contract.json from migrations/, views/ and metrics/.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ChdbEngine } from './engine/chdb-engine.ts';
import { added, broken, type Contract, contractOf } from './store/contract.ts';
import { loadCustomerMap } from './store/customer-map.ts';
import { migrate, readMigrations } from './store/migrate.ts';
import { describeSchema, readColumnDocs, schemaPage } from './store/schema.ts';
import { makeViews } from './store/views.ts';

const HELP = `npm run schema -- [--breaking]

Writes docs/analytics-schema.md and services/analytics/contract/contract.json from what migrations/, views/ and metrics/ make.
A column or metric that is gone, of another type, or that answers differently about the sample shop is refused: give it a new
name. --breaking writes it all the same; then say so in CHANGELOG.md, because somebody's query broke.`;

const HOME = join(import.meta.dirname, '..');
const CONTRACT = join(HOME, 'contract/contract.json');
const PAGE = join(HOME, '../../docs/analytics-schema.md');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { breaking: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return say(HELP);
  const folder = await mkdtemp(join(tmpdir(), 'recur-schema-'));
  const engine = await ChdbEngine.open(folder);
  try {
    await migrate(engine, await readMigrations(join(HOME, 'migrations')));
    const { metrics } = await makeViews(engine, join(HOME, 'views'), 'Asia/Shanghai');
    await loadCustomerMap(engine);
    const objects = await describeSchema(engine, await readColumnDocs(join(HOME, 'views')));
    const kept = await readFile(CONTRACT, 'utf8').then(
      (text) => JSON.parse(text) as Contract,
      () => undefined,
    );
    const now = await contractOf(engine, join(HOME, 'contract'), objects, metrics);
    const problems = kept === undefined ? [] : broken(kept, now);
    if (problems.length > 0 && !values.breaking)
      throw new Error(`${problems.join('\n')}\nNothing was written; see --help.`);
    await writeFile(CONTRACT, `${JSON.stringify(now, null, 2)}\n`);
    await writeFile(PAGE, schemaPage(objects, metrics));
    for (const name of kept === undefined ? [] : added(kept, now)) say(`new: ${name}`);
    say(`${objects.length} tables and views, ${metrics.length} metrics written.`);
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
