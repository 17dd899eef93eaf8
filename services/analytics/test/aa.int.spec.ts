// A/A tests on real customers: however often one looks, the sequential test must not call a difference where there is none.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadControl, runAA } from '../bench/aa-runs.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

const HILLSTROM = join(import.meta.dirname, '../../../../shared/data/hillstrom/hillstrom.csv.gz');

let temp: TempEngine;
beforeAll(async () => {
  expect(existsSync(HILLSTROM), `${HILLSTROM} is missing: false positives cannot be counted without it`).toBe(true);
  temp = await tempEngine('UTC');
}, 60_000);
afterAll(() => temp?.drop());

it('2,000 runs of 20 looks: at most 5 % false positives, where the fixed test has many', async () => {
  expect(await loadControl(temp.engine, HILLSTROM)).toBe(21_306);
  const found = await runAA(temp.engine, { runs: 2_000, looks: 20, seed: 1 });
  expect(found.map((f) => f.metric)).toEqual(['conversion', 'revenue']);
  for (const { metric, runs, fixed, fixedAtEnd, sequential } of found) {
    expect(sequential / runs, `${metric}, sequential`).toBeLessThanOrEqual(0.05);
    // Looked at once it is what it says (5 %, give or take chance); looked at 20 times it is not.
    expect(fixedAtEnd / runs, `${metric}, fixed, at the end`).toBeGreaterThan(0.03);
    expect(fixedAtEnd / runs, `${metric}, fixed, at the end`).toBeLessThan(0.065);
    expect(fixed / runs, `${metric}, fixed, any look`).toBeGreaterThan(0.1);
  }
}, 600_000);
