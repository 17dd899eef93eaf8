// Experiments on small data made by hand: what goes wrong in practice, and what the views say then.
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ClassChange, Exposure, Merged, SegmentChange } from '#gen/recur/log/v1/changes.ts';
import { type Record as LogRecord, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { DAY, event, order, record, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

type Row = Record<string, number | string | null | string[]>;
const START = Date.UTC(2026, 3, 1);
const TABLES = [
  'exposures',
  'events',
  'identity_changes',
  'segment_changes',
  'class_changes',
  'experiment_shares',
  'experiment_plans',
];

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('UTC');
  return () => temp.drop();
}, 60_000);
let log: LogRecord[];
beforeEach(() => {
  log = [];
});
afterEach(async () => {
  for (const table of TABLES) await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
});

const exposure = (id: string, variant: string, at = START, experimentId = 'x') =>
  record(
    id,
    RecordKind.RECORD_KIND_EXPOSURE,
    at,
    Exposure.encode(Exposure.fromPartial({ experimentId, variant, holdOut: variant === 'none' })).finish(),
  );
const viewed = (id: string, properties: object, at = START) =>
  event(id, {
    name: 'Experiment Viewed',
    timeMs: at,
    propertiesJson: Buffer.from(JSON.stringify(properties)),
    messageId: `${id}/${JSON.stringify(properties)}/${at}`,
  });
const merged = (from: string, into: string, at: number) =>
  record(from, RecordKind.RECORD_KIND_MERGED, at, Merged.encode(Merged.fromPartial({ into })).finish());

/** Customers of an arm; each orders for the amount given, a day after the exposure; 0 is no order. */
function arm(variant: string, amounts: readonly number[], at = START): void {
  amounts.forEach((amount, i) => {
    const id = `${variant}-${i}`;
    log.push(exposure(id, variant, at));
    if (amount > 0) log.push(order(id, `o-${id}`, at + DAY, amount));
  });
}
/** Somebody else's order, so that the data reach far enough for everybody's days to be over. */
function later(days: number): void {
  log.push(order('somebody', `late-${days}`, START + days * DAY, 1));
}

async function results(days = 7, by?: string): Promise<Row[]> {
  await temp.store(new SampleLog().add(0, log));
  return temp.engine.rows<Row>(
    by === undefined
      ? `SELECT * FROM recur.v_experiment_results(days = ${days})`
      : `SELECT * FROM recur.v_experiment_breakdown(days = ${days}, by = '${by}')`,
  );
}
const pick = (rows: readonly Row[], variant: string, metric: string, part?: string): Row => {
  const found = rows.find((r) => r.variant === variant && r.metric === metric && (part ?? r.part) === r.part);
  if (!found) throw new Error(`no row of ${variant}, ${metric}: ${JSON.stringify(rows)}`);
  return found;
};
const spread = (n: number, from: number, step = 1) => Array.from({ length: n }, (_, i) => from + (i % 7) * step);

describe('degenerate data', () => {
  it('a metric nobody has: nothing to test, and not a comparison that counts', async () => {
    arm('none', spread(40, 10));
    arm('mail', spread(40, 12));
    later(30);
    const rows = await results();
    const visit = pick(rows, 'mail', 'visit');
    expect(visit).toMatchObject({ effect: 0, effect_se: null, p: null, sequential_p: null, p_holm: null });
    expect(visit.verdict).toBe('All customers of both arms have the same value: nothing to test.');
    // Everybody buys exactly once: conversion and orders do not vary either. Left are revenue and order value.
    const revenue = pick(rows, 'mail', 'revenue');
    expect(Number(revenue.p_holm)).toBeCloseTo(Number(revenue.p) * 2, 12);
  });

  it('no spread and a difference: told, not tested', async () => {
    arm('none', [0, 0, 0]);
    arm('mail', [5, 5, 5]);
    later(30);
    const conversion = pick(await results(), 'mail', 'conversion');
    expect(conversion).toMatchObject({ effect: 1, effect_se: null, p: null, chance_to_win: null });
    expect(conversion.verdict).toMatch(/a difference of 1 that no test can judge/);
  });

  it('one customer in an arm', async () => {
    arm('none', spread(30, 1));
    arm('mail', [9]);
    later(30);
    const revenue = pick(await results(), 'mail', 'revenue');
    expect(revenue).toMatchObject({ customers: 1, mean: 9, effect_se: null, p: null, relative_p: null });
    expect(revenue.verdict).toMatch(/Too few customers/);
  });

  it('an arm of the plan that nobody got is a mismatch', async () => {
    await temp.engine.command(
      "INSERT INTO recur.experiment_shares VALUES ('x', 'none', 0.5, 1), ('x', 'mail', 0.5, 1)",
    );
    arm('none', spread(40, 1));
    later(30);
    const rows = await results();
    const [srm] = await temp.engine.rows<Row>('SELECT * FROM recur.v_experiment_srm');
    expect(srm).toMatchObject({ mismatch: 1, shares_planned: 1, chi2: 40 });
    expect(pick(rows, 'none', 'revenue').verdict).toMatch(/^Do not trust this/);
  });

  it('no arm is the control: says so', async () => {
    arm('a', spread(20, 1));
    arm('b', spread(20, 2));
    later(30);
    const row = pick(await results(), 'b', 'revenue');
    expect(row).toMatchObject({ control: '', effect: null, p: null, warnings: [] });
    expect(row.verdict).toMatch(/^No arm is the control/);
  });

  it('only the control is there', async () => {
    arm('none', spread(20, 1));
    later(30);
    expect(pick(await results(), 'none', 'revenue').verdict).toBe('Control.');
  });

  it('a control of nothing: no relative effect, the absolute one is tested sequentially', async () => {
    arm(
      'none',
      Array.from({ length: 200 }, () => 0),
    );
    arm(
      'mail',
      Array.from({ length: 200 }, (_, i) => (i % 2 ? 10 + (i % 5) : 0)),
    );
    later(30);
    const row = pick(await results(), 'mail', 'revenue');
    expect(row).toMatchObject({ relative: null, relative_p: null, sequential_low: null });
    expect(Number(row.sequential_p)).toBeLessThan(0.001);
    expect(Number(row.p)).toBeLessThan(0.001);
  });

  it('nobody was exposed to anything', async () => {
    later(1);
    expect(await results()).toEqual([]);
    expect(await temp.engine.rows('SELECT * FROM recur.v_experiment_srm')).toEqual([]);
    expect(await temp.engine.rows('SELECT * FROM recur.v_experiments')).toEqual([]);
  });
});

describe('one outlier that carries the mean', () => {
  it('is named, and taken away the arms are alike', async () => {
    arm('none', spread(300, 10));
    arm('mail', [...spread(299, 10), 50_000]);
    later(30);
    const row = pick(await results(), 'mail', 'revenue');
    expect(Number(row.effect)).toBeGreaterThan(100);
    expect(Number(row.p)).toBeGreaterThan(0.05);
    expect(row.cap).toBe(16);
    expect(Math.abs(Number(row.capped_effect))).toBeLessThan(0.1);
    expect(row.warnings).toContain('outlier');
    expect(row.verdict).toMatch(/One customer makes 9\d % of an arm: without the greatest values the effect is/);
  });

  it('hides a real effect: the capped test shows it', async () => {
    arm('none', [...spread(299, 10), 90_000]);
    arm('mail', spread(300, 14));
    later(30);
    const row = pick(await results(), 'mail', 'revenue');
    expect(Number(row.effect)).toBeLessThan(0);
    expect(Number(row.capped_effect)).toBeGreaterThan(3);
    expect(Number(row.capped_p)).toBeLessThan(1e-6);
    expect(row.disagreements).toContain('capped');
    expect(row.verdict).toMatch(/With the greatest values capped at 20 the effect is 3\.\d+ \(p < 0\.0001\)/);
  });

  it('of few buyers, too', async () => {
    arm('none', [...Array.from({ length: 95 }, () => 0), 10, 11, 12, 13, 14]);
    arm('mail', [...Array.from({ length: 95 }, () => 0), 10, 11, 12, 13, 9_000]);
    later(30);
    expect(pick(await results(), 'mail', 'revenue')).toMatchObject({ cap: 14, warnings: ['outlier'] });
  });
});

describe('equal days for everybody', () => {
  it('a customer whose days are not over does not count yet', async () => {
    arm('none', spread(30, 10));
    arm('mail', spread(30, 12));
    for (let i = 0; i < 10; i++) log.push(exposure(`new-${i}`, i % 2 ? 'mail' : 'none', START + 5 * DAY));
    later(8);
    const rows = await results(7);
    expect(pick(rows, 'mail', 'revenue')).toMatchObject({ customers: 30, waiting: 5, window_over: 1 });
    expect(pick(rows, 'none', 'conversion')).toMatchObject({ customers: 30, waiting: 5, mean: 1 });
  });

  it('orders end before other events do: each metric counts whom its own data cover', async () => {
    arm('none', spread(30, 10));
    arm('mail', spread(30, 12));
    for (let i = 0; i < 10; i++) {
      log.push(exposure(`new-${i}`, i % 2 ? 'mail' : 'none', START + 5 * DAY));
      log.push(event(`new-${i}`, { name: 'Product Viewed', timeMs: START + 6 * DAY }));
    }
    later(8);
    log.push(event('somebody', { name: 'Product Viewed', timeMs: START + 40 * DAY }));
    const rows = await results(7);
    expect(pick(rows, 'mail', 'revenue')).toMatchObject({ customers: 30, waiting: 5 });
    expect(pick(rows, 'mail', 'visit')).toMatchObject({ customers: 35, waiting: 0, acting: 5 });
  });

  it('nobody is through: all count, with a warning', async () => {
    arm('none', spread(30, 10));
    arm('mail', spread(30, 12));
    const row = pick(await results(7), 'mail', 'revenue');
    expect(row).toMatchObject({ customers: 30, waiting: 0, window_over: 0, warnings: ['window'] });
    expect(row.verdict).toMatch(/over for nobody yet/);
  });

  it('an order on the last day counts, one after it does not', async () => {
    log.push(exposure('a', 'mail'), exposure('b', 'mail'), exposure('c', 'none'), exposure('d', 'none'));
    log.push(order('a', '1', START + 7 * DAY - 1, 10), order('b', '2', START + 7 * DAY, 10));
    log.push(order('c', '3', START - 1, 10), order('d', '4', START, 10));
    later(30);
    const rows = await results(7);
    expect(pick(rows, 'mail', 'conversion')).toMatchObject({ total: 1 });
    expect(pick(rows, 'none', 'conversion')).toMatchObject({ total: 1 });
  });
});

describe('who is in which arm', () => {
  it('two customers turn out to be one: the first exposure counts, from wherever it came', async () => {
    log.push(viewed('b', { experiment_id: 'x', variation_id: 'mail' }, START));
    log.push(exposure('a', 'none', START + 1_000));
    log.push(order('a', '1', START + DAY, 30), order('b', '2', START + 2 * DAY, 12));
    log.push(merged('b', 'a', START + 3 * DAY));
    log.push(exposure('c', 'none'), exposure('d', 'none'));
    later(30);
    const rows = await results(7);
    expect(pick(rows, 'mail', 'revenue')).toMatchObject({ customers: 1, total: 42 });
    expect(pick(rows, 'none', 'revenue')).toMatchObject({ customers: 2, total: 0 });
    const [x] = await temp.engine.rows<Row>('SELECT * FROM recur.v_experiments');
    expect(x).toMatchObject({ customers: 3, crossed: 1, control: 'none' });
    expect(pick(rows, 'mail', 'revenue').warnings).toContain('crossed');
  });

  it('an event Experiment Viewed is an exposure: ids as text or number, hold-out said, incomplete ones are not', async () => {
    for (let i = 0; i < 20; i++) {
      const id = `p${i}`;
      log.push(viewed(id, { experiment_id: 7, variation_id: i % 2, hold_out: i % 2 === 1 }));
      log.push(viewed(id, { experiment_id: 'named', variation_name: i % 2 ? 'Blue' : 'control' }));
      log.push(viewed(id, { experiment_id: 'half' }), viewed(id, { variation_id: 'half' }));
    }
    await temp.store(new SampleLog().add(0, log));
    expect(await temp.engine.rows('SELECT experiment_id, control, customers FROM recur.v_experiments')).toEqual([
      { experiment_id: '7', control: '1', customers: 20 },
      { experiment_id: 'named', control: 'control', customers: 20 },
    ]);
  });

  it('time is that of the event, not that of its import', async () => {
    const imported = viewed('a', { experiment_id: 'x', variation_id: 'mail' }, START);
    log.push({ ...imported, timeMs: START + 400 * DAY });
    const bought = order('a', '1', START + DAY, 10);
    log.push({ ...bought, timeMs: START + 400 * DAY });
    expect(pick(await results(7), 'mail', 'conversion')).toMatchObject({ total: 1 });
  });

  it('shares: of the plan, else of the journey, else equal; an arm outside the plan leaves it open', async () => {
    for (let i = 0; i < 1_000; i++) log.push(exposure(`p${i}`, i % 10 ? 'mail' : 'none'));
    await temp.store(new SampleLog().add(0, log));
    const srm = async () => (await temp.engine.rows<Row>('SELECT * FROM recur.v_experiment_srm'))[0];
    expect(await srm()).toMatchObject({ shares_planned: 0, mismatch: 1 });
    await temp.engine.command(
      "INSERT INTO recur.experiment_shares VALUES ('x', 'none', 0.1, 3), ('x', 'mail', 0.9, 3), ('x', 'gone', 0.5, 2)",
    );
    expect(await srm()).toMatchObject({ shares_planned: 1, mismatch: 0, chi2: 0, p: 1 });
    const plan = (revision: number, arms: string) =>
      temp.engine.command(
        `INSERT INTO recur.experiment_plans VALUES ('plan', 'x', ${revision}, 0, 'Mail', 'mail', ${arms}, [])`,
      );
    await plan(1, "[('none', 0.5), ('mail', 0.5)]");
    expect(await srm()).toMatchObject({ shares_planned: 1, mismatch: 1, chi2: 640 });
    await plan(2, "[('none', 0.5), ('other', 0.5)]");
    expect(await srm()).toMatchObject({ chi2: null, p: null, mismatch: null });
    expect(await temp.engine.rows('SELECT display_name, control FROM recur.v_experiments')).toEqual([
      { display_name: 'Mail', control: 'mail' },
    ]);
  });
});

describe('metrics', () => {
  it('visits, and metrics of the plan', async () => {
    await temp.engine.command(
      "INSERT INTO recur.experiment_plans VALUES ('plan', 'x', 1, 0, '', 'none', [], [('survey', ['Survey Answered'], 'customers'), ('shares', ['Product Shared', 'Cart Shared'], 'events'), ('deposit', ['Deposit Paid'], 'amount')])",
    );
    for (let i = 0; i < 40; i++) {
      const id = `p${i}`;
      log.push(exposure(id, i % 2 ? 'mail' : 'none'));
      log.push(event(id, { name: '/home', type: 3, timeMs: START + (i % 4 ? 1 : 400) * DAY }));
      if (i % 4 === 1) log.push(event(id, { name: 'Survey Answered', timeMs: START + DAY + i }));
      if (i % 4 === 3)
        for (let k = 0; k < 3; k++)
          log.push(event(id, { name: k ? 'Product Shared' : 'Cart Shared', timeMs: START + DAY + k }));
    }
    const rows = await results(7);
    expect(pick(rows, 'mail', 'visit')).toMatchObject({ customers: 20, total: 20, kind: 'share' });
    expect(pick(rows, 'none', 'visit')).toMatchObject({ customers: 20, total: 10 });
    expect(pick(rows, 'mail', 'survey')).toMatchObject({ total: 10, mean: 0.5, effect: 0.5 });
    expect(pick(rows, 'mail', 'shares')).toMatchObject({ total: 30, mean: 1.5, kind: 'mean' });
    expect(pick(rows, 'mail', 'deposit')).toMatchObject({ total: 0 });
  });

  it('by segment and class, as they were when the customer was exposed', async () => {
    const change = (id: string, segmentId: string, entered: boolean, at: number) =>
      record(
        id,
        RecordKind.RECORD_KIND_SEGMENT,
        at,
        SegmentChange.encode(SegmentChange.fromPartial({ segmentId, revision: 1, entered })).finish(),
      );
    const stage = (id: string, to: string, at: number) =>
      record(
        id,
        RecordKind.RECORD_KIND_CLASS,
        at,
        ClassChange.encode(ClassChange.fromPartial({ dimension: 'lifecycle', from: '', to, reason: '' })).finish(),
      );
    for (let i = 0; i < 80; i++) {
      const id = `p${i}`;
      const vip = i % 4 < 2;
      log.push(change(id, 'left', true, START - 9), change(id, 'left', false, START - 8));
      if (vip) log.push(change(id, 'vip', true, START - 5));
      log.push(stage(id, vip ? 'loyal' : 'prospect', START - 3));
      log.push(
        event(id, {
          type: 1,
          timeMs: START - 2,
          traits: [{ name: 'city', json: Buffer.from(vip ? '"京"' : '3'), sealed: Buffer.alloc(0) }],
        }),
      );
      log.push(exposure(id, i % 2 ? 'mail' : 'none'));
      // What came of it must not decide where they are counted.
      log.push(change(id, 'late', true, START + 1), stage(id, 'lost', START + 1));
      if (vip && i % 2) log.push(order(id, `o${i}`, START + DAY, 10 + (i % 3)));
    }
    later(30);
    const rows = await results(7, 'segment');
    expect([...new Set(rows.map((r) => r.part))]).toEqual(['vip']);
    expect(pick(rows, 'mail', 'conversion', 'vip')).toMatchObject({ customers: 20, mean: 1, control: 'none' });
    const by = async (what: string) =>
      Object.fromEntries(
        (
          await temp.engine.rows<Row>(
            `SELECT part, total FROM recur.v_experiment_breakdown(days = 7, by = '${what}') WHERE variant = 'mail' AND metric = 'conversion'`,
          )
        ).map((r) => [r.part, r.total]),
      );
    expect(await by('lifecycle')).toEqual({ loyal: 20, prospect: 0 });
    expect(await by('trait:city')).toEqual({ 京: 20, '3': 0 });
    expect(await by('rfm')).toEqual({});
  });

  it('attributed beside incremental, and what it would take to see an effect', async () => {
    arm('none', spread(50, 10));
    arm('mail', spread(50, 12));
    later(30);
    await results();
    const [gmv] = await temp.engine.rows<Row>('SELECT * FROM recur.v_experiment_gmv(days = 7)');
    const total = spread(50, 12).reduce((a, b) => a + b, 0);
    expect(gmv).toMatchObject({ variant: 'mail', attributed: total, window_over: 1 });
    expect(Number(gmv?.incremental)).toBeCloseTo(100, 9);
    const power = await temp.engine.rows<Row>(
      "SELECT * FROM recur.v_experiment_power(days = 7, effect = 0.1) WHERE metric = 'revenue'",
    );
    const [row] = power;
    // The smallest effect seen with 80 % power has, asked for, a power of 80 %.
    const [same] = await temp.engine.rows<Row>(
      `SELECT power, customers_needed FROM recur.v_experiment_power(days = 7, effect = ${Number(row?.mde_relative)}) WHERE metric = 'revenue'`,
    );
    expect(Number(same?.power)).toBeCloseTo(0.8, 5);
    expect(Math.abs(Number(same?.customers_needed) - 50)).toBeLessThanOrEqual(1);
  });
});
