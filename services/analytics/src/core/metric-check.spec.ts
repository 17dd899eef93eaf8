import { describe, expect, it } from 'vitest';
import { Dimension, DimensionSubject, Guests, Metric, Period, Refunds } from '#gen/recur/analytics/v1/metric.ts';
import fc from '#tools/testkit/fast-check.ts';
import { checkDimension, checkDimensionsOf, checkExpression, checkMetric, checkSelect, reads } from './metric-check.ts';
import { metricSql } from './metric-sql.ts';
import { checkQuery, isRefusal } from './sql-guard.ts';

const measure = (more: object = {}) => ({
  $case: 'measure' as const,
  value: {
    source: 'orders',
    where: '',
    numerator: 'sum(amount)',
    denominator: '',
    dimensions: [],
    period: Period.PERIOD_UNSPECIFIED,
    ...more,
  },
});
const metric = (more: Partial<Metric> = {}): Metric => ({
  ...Metric.fromPartial({ id: 'aov', displayName: 'Average order', owner: 'crm', unit: 'money' }),
  refunds: Refunds.REFUNDS_NET,
  guests: Guests.GUESTS_EXCLUDED,
  formula: measure(),
  ...more,
});
const fields = (wrong: readonly { field: string }[]) => wrong.map(({ field }) => field);

describe('a metric', () => {
  it('is good, or hears of everything at once', () => {
    expect(checkMetric(metric(), new Set())).toEqual([]);
    const bad = metric({
      id: 'no-dash',
      displayName: '',
      owner: '',
      unit: 'furlongs',
      windowDays: -1,
      timeZone: 'Mars/Olympus',
      refunds: 0,
      guests: 0,
      healthLine: Number.NaN,
      formula: measure({ source: 'nowhere', numerator: '', where: '1)', dimensions: ['a', 'a'] }),
    });
    expect(fields(checkMetric(bad, new Set()))).toEqual([
      'metric.id',
      'metric.display_name',
      'metric.owner',
      'metric.unit',
      'metric.window_days',
      'metric.time_zone',
      'metric.refunds',
      'metric.guests',
      'metric.health_line',
      'metric.measure.source',
      'metric.measure.dimensions',
      'metric.measure.where',
      'metric.measure.numerator',
    ]);
    expect(fields(checkMetric(metric({ id: 'ltv' }), new Set(['ltv'])))).toEqual(['metric.id']);
    expect(fields(checkMetric(metric({ formula: undefined }), new Set()))).toEqual(['metric.measure']);
    expect(
      fields(checkMetric(metric({ windowDays: 7, formula: { $case: 'sql', value: 'SELECT 1 AS x' } }), new Set())),
    ).toEqual(['metric.window_days']);
  });

  it.each([
    '',
    'DROP TABLE recur.events',
    'SELECT 1; SELECT 2',
    "SELECT * FROM file('/etc/passwd')",
    'SELECT * FROM system.processes',
    'SELECT 1 SETTINGS max_execution_time = 1000',
    'SELECT 1 FORMAT JSON',
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    'SELECT {x:UInt8}',
    'SELECT 1 -- and the rest',
    'SELECT 1 /* and the rest',
    'SHOW TABLES',
    'SELECT 1)',
    `SELECT '${'x'.repeat(17_000)}'`,
  ])('SQL %s is refused', (sql) => {
    expect(checkSelect('metric.sql', sql)).toHaveLength(1);
  });

  it.each([
    'sum(amount)) FROM (SELECT 1',
    '1) UNION ALL (SELECT 1',
    "'a",
    '1 -- x',
    '1 /*',
    '*/ 1',
    '1 #! x',
    '{a:UInt8}',
    '$$x$$',
    '1; 2',
    '(1]',
  ])('expression %s cannot reach out of its place', (expression) => {
    expect(checkExpression('f', expression, true)).toHaveLength(1);
  });

  it.each([
    "if(traits['city'] = 'A -- # /* b', 1, 2)",
    "formatDateTime(time, '%Y')",
    "format('{}', source)",
    'countIf(a IN (SELECT 1))',
  ])('expression %s may stand', (expression) => {
    expect(checkExpression('f', expression, true)).toEqual([]);
  });

  it('whatever an expression is, what is put together is one SELECT that reads', () => {
    const part = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.constantFrom('sum(amount)', ')', '(', '--', '/*', "'", '`', ';', '\\', 'SETTINGS x = 1', ' '),
    );
    const expression = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(expression, expression, expression, (numerator, denominator, where) => {
        const made = metric({ formula: measure({ numerator, denominator, where }) });
        if (checkMetric(made, new Set()).length > 0) return;
        expect(isRefusal(checkQuery(metricSql(made, 'UTC', new Map())))).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('says which views it reads', () => {
    expect(reads(metric({ formula: measure({ dimensions: ['city'] }) }), 'd_city')).toBe(true);
    expect(reads(metric({ formula: { $case: 'sql', value: "SELECT 'm_x', * FROM m_y" } }), 'm_x')).toBe(false);
    expect(reads(metric({ formula: { $case: 'sql', value: 'SELECT * FROM recur.m_y' } }), 'm_y')).toBe(true);
  });
});

describe('a dimension', () => {
  it('fits its sources', () => {
    const channel = {
      ...Dimension.fromPartial({ id: 'channel', displayName: 'C', owner: 'o', expression: 'source' }),
      subject: DimensionSubject.DIMENSION_SUBJECT_ORDER,
    };
    expect(checkDimension(channel)).toEqual([]);
    expect(fields(checkDimension({ ...channel, subject: 0, expression: '' }))).toEqual([
      'dimension.subject',
      'dimension.expression',
    ]);
    const known = new Map([['channel', channel]]);
    const of = (source: string, dimensions: string[]) => metric({ formula: measure({ source, dimensions }) });
    expect(checkDimensionsOf(of('orders', ['channel']), known)).toEqual([]);
    expect(fields(checkDimensionsOf(of('customers', ['channel', 'x']), known))).toEqual([
      'metric.measure.dimensions[0]',
      'metric.measure.dimensions[1]',
    ]);
  });
});
