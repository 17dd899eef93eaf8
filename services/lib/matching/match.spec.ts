import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { fieldsOfColumn } from './fields.ts';
import { MATCH_OPTIONS, match } from './match.ts';
import { pairwise } from './metric.ts';
import { type InventedOptions, inventPeople } from './testing/invent.ts';
import { chooseThreshold } from './threshold.ts';

const FEBRL = join(import.meta.dirname, '../../../../shared/data/febrl');

/** The number that identifies people, and the one that says who is who, are not looked at. */
function febrl(name: string) {
  const file = join(FEBRL, name);
  if (!existsSync(file)) throw new Error(`This test needs ${file}: put the data of ../shared/data there.`);
  const rows: Record<string, string>[] = parse(gunzipSync(readFileSync(file)), { columns: true, trim: true });
  const columns = Object.keys(rows[0] ?? {}).filter((c) => c !== 'rec_id' && c !== 'soc_sec_id');
  const specs = columns.flatMap(fieldsOfColumn);
  expect(specs).toHaveLength(9);
  return {
    specs,
    rows: rows.map((r) => columns.map((c) => r[c])),
    truth: rows.map((r) => r.rec_id?.split('-')[1]),
  };
}

describe('febrl, without the truth', () => {
  it.each(['dataset1.csv.gz', 'dataset3.csv.gz'])('%s', { timeout: 60_000 }, (name) => {
    const { specs, rows, truth } = febrl(name);
    const result = match(specs, rows);
    const quality = pairwise([...result.groups], truth);
    expect(quality.precision).toBeGreaterThanOrEqual(0.998);
    expect(quality.f).toBeGreaterThanOrEqual(0.995);
    // What the model expects of itself is near what it does.
    expect(Math.abs(result.threshold.precision - quality.precision)).toBeLessThan(0.002);
    expect(Math.abs(result.threshold.recall - quality.recall)).toBeLessThan(0.005);
  });
});

const invented = (options: Partial<InventedOptions>) =>
  inventPeople({
    ...{ language: 'en', seed: 1, originals: 500, duplicates: 500, most: 1, errors: 3, families: 0, moved: 0 },
    ...options,
  });

describe('people invented', () => {
  it.each<[string, Partial<InventedOptions>, number]>([
    ['one copy each', { seed: 21 }, 0.995],
    ['many errors', { seed: 22, errors: 6 }, 0.995],
    ['few copies', { seed: 23, originals: 1000, duplicates: 40 }, 0.98],
    ['up to five copies', { seed: 24, originals: 600, duplicates: 900, most: 5, errors: 4 }, 0.99],
    ['Chinese', { seed: 25, language: 'zh', errors: 1 }, 0.99],
    ['Chinese, up to five copies', { seed: 26, language: 'zh', duplicates: 900, most: 5, errors: 2 }, 0.98],
    ['families', { seed: 27, families: 0.3 }, 0.9],
    ['families, and people who move', { seed: 28, families: 0.3, moved: 0.1 }, 0.6],
    ['Chinese families', { seed: 29, language: 'zh', families: 0.3, errors: 2 }, 0.9],
  ])('%s', { timeout: 60_000 }, (_, options, recall) => {
    const { specs, rows, truth } = invented(options);
    const quality = pairwise([...match(specs, rows).groups], truth);
    expect(quality.precision).toBeGreaterThanOrEqual(0.995);
    expect(quality.recall).toBeGreaterThanOrEqual(recall);
  });

  it('who are all different stay apart', { timeout: 60_000 }, () => {
    const { specs, rows, truth } = invented({ originals: 1500, duplicates: 0, families: 0.2 });
    expect(pairwise([...match(specs, rows).groups], truth).predictedPairs).toBeLessThanOrEqual(1);
  });
});

describe('a result', { timeout: 60_000 }, () => {
  const { specs, rows } = invented({ seed: 31, originals: 150, duplicates: 250, most: 4 });
  const result = match(specs, rows);

  it('holds each group together by one pair less than it has records', () => {
    const groups = new Set(result.groups).size;
    expect(result.accepted).toHaveLength(rows.length - groups);
    for (const { a, b } of result.accepted) expect(result.groups[a]).toBe(result.groups[b]);
    for (const { a, b } of result.review) expect(result.groups[a]).not.toBe(result.groups[b]);
  });

  it('says of every field what it found, in bits that add up to the odds', () => {
    const { matchShare } = result.model;
    for (const { findings, probability } of result.accepted) {
      expect(findings.map((f) => f.name)).toEqual([
        ...specs.map((s) => s.name),
        'given_name/surname',
        'address_1/address_2',
      ]);
      const bits = findings.reduce((sum, f) => sum + f.bits, Math.log2(matchShare));
      if (probability < 0.999) expect(bits).toBeLessThan(20);
      else expect(bits).toBeGreaterThan(0);
    }
  });

  it('is the same again, and the same groups in another order of rows', () => {
    expect(match(specs, rows).groups).toEqual(result.groups);
    const turned = match(specs, [...rows].reverse());
    const labels = [...turned.groups].reverse();
    expect(pairwise(labels, [...result.groups]).f).toBeGreaterThan(0.99);
  });

  it('tells how far it is', () => {
    const steps = new Set<string>();
    match(specs, rows, { ...MATCH_OPTIONS, progress: (step, done, of) => steps.add(`${step} ${done <= of}`) });
    expect([...steps]).toEqual(['candidates', 'strangers', 'weights', 'scores', 'groups'].map((s) => `${s} true`));
  });

  it('exists for whatever rows there are', () => {
    const cell = fc.constantFrom('', 'ann', 'anne', '王', '19900101', 'x');
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 9, maxLength: 9 }), { maxLength: 12 }), (list) => {
        const { groups, accepted, review, threshold } = match(specs, list);
        expect(groups).toHaveLength(list.length);
        for (const { probability, findings } of [...accepted, ...review]) {
          expect(probability).toBeGreaterThanOrEqual(0);
          expect(probability).toBeLessThanOrEqual(1);
          expect(findings.every((f) => Number.isFinite(f.bits))).toBe(true);
        }
        expect(threshold.probability).toBeGreaterThanOrEqual(0.5);
      }),
      { numRuns: 50 },
    );
    expect(() => match([], [])).toThrow('no field');
  });
});

it('a threshold keeps the precision asked for, and is the lowest that does', () => {
  const probabilities = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 50 });
  fc.assert(
    fc.property(probabilities, fc.double({ min: 0.5, max: 0.999, noNaN: true }), (list, wanted) => {
      const { probability, precision } = chooseThreshold(Float64Array.from(list), wanted);
      const mean = (from: number) => {
        const above = list.filter((p) => p >= from);
        return above.reduce((s, p) => s + p, 0) / Math.max(1, above.length);
      };
      const accepted = list.filter((p) => p >= probability);
      if (accepted.length > 0) {
        expect(precision).toBeGreaterThanOrEqual(wanted);
        expect(mean(probability)).toBeCloseTo(precision, 9);
      }
      const next = Math.max(...list.filter((p) => p < probability && p >= 0.5), 0);
      if (next > 0) expect(mean(next)).toBeLessThan(wanted + 1e-9);
    }),
  );
});
