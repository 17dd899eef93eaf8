// Puts the picture of the flow into the pages that show it: npm run topology
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PAGES, withFlow } from './flow.ts';

for (const { file, table } of PAGES) {
  const path = join(import.meta.dirname, '../..', file);
  const before = readFileSync(path, 'utf8');
  const after = withFlow(before, { table });
  if (after !== before) writeFileSync(path, after);
  console.log(`${file}: ${after === before ? 'as it was' : 'drawn anew'}`);
}
