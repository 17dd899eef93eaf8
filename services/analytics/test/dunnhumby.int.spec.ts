// Real households' shopping days: are the windows of next purchases what they claim? ../shared/data/README.md beside the repository.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { calibrate, nextPurchases } from '../src/core/prediction/next-purchase.ts';
import { type PurchaseDays, Rhythm } from '../src/core/prediction/rhythm.ts';

const FILE = join(import.meta.dirname, '../../../../shared/data/dunnhumby/transactions_sample.csv.gz');
const DAY_MS = 86_400_000;

function households(): PurchaseDays[] {
  if (!existsSync(FILE)) throw new Error(`${FILE} is missing: these figures cannot be checked without it`);
  const days = new Map<string, Set<number>>();
  for (const line of gunzipSync(readFileSync(FILE)).toString('utf8').split('\n').slice(1)) {
    const household = line.split(',')[0] ?? '';
    const day = /"(\d{4}-\d{2}-\d{2}) /.exec(line)?.[1];
    if (day === undefined) continue;
    const known = days.get(household) ?? new Set();
    days.set(household, known.add(Date.parse(day) / DAY_MS));
  }
  return [...days].map(([customerId, set]) => ({ customerId, days: [...set].sort((a, b) => a - b) }));
}

it.each(['2017-07-02', '2017-09-02'])('windows as of %s hold 80 % of next purchases, narrow and wide ones', (day) => {
  const all = households();
  const today = Date.parse(day) / DAY_MS;
  const end = Date.parse('2018-01-01') / DAY_MS;
  const known = all.filter((c) => (c.days[0] as number) < today);
  const calibration = calibrate([known], today - 90, today);
  const next = nextPurchases(new Rhythm(known, today), known, today, calibration);
  const daysOf = new Map(all.map((c) => [c.customerId, c.days]));
  const over = next
    .flatMap((n) => (n.window && n.window.to < end ? [{ ...n.window, id: n.customerId }] : []))
    .map((w) => {
      const came = daysOf.get(w.id)?.find((d) => d >= today);
      return { width: w.to - w.from, held: came !== undefined && came >= w.from && came <= w.to };
    })
    .sort((a, b) => a.width - b.width);
  expect(over.length).toBeGreaterThan(1_000);
  const share = (some: typeof over) => some.filter((w) => w.held).length / some.length;
  expect(share(over)).toBeGreaterThan(0.77);
  expect(share(over)).toBeLessThan(0.88);
  for (let i = 0; i < 10; i++) {
    const tenth = share(over.slice(Math.floor((i * over.length) / 10), Math.floor(((i + 1) * over.length) / 10)));
    expect(tenth, `tenth ${i + 1}`).toBeGreaterThan(0.68);
    expect(tenth, `tenth ${i + 1}`).toBeLessThan(0.96);
  }
});
