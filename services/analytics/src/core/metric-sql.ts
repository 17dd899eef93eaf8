import {
  type Dimension,
  DimensionSubject,
  Guests,
  type Measure,
  type Metric,
  Period,
  Refunds,
} from '#gen/recur/analytics/v1/metric.ts';

/** Rows a measure counts, by source: what they are with and without refunds, and which column is their time. */
interface SourceSql {
  readonly net: string;
  readonly gross: string;
  readonly time: string;
  /** Dimensions of orders fit. */
  readonly orders: boolean;
}

const withIdentified = (view: string) =>
  `SELECT r.*, toUInt8(i.identified) AS identified FROM recur.${view} AS r LEFT ANY JOIN recur.v_identities AS i ON i.customer_id = r.customer_id`;
const both = (sql: string) => ({ net: sql, gross: sql });

export const SOURCES: Readonly<Record<string, SourceSql>> = {
  __proto__: null as never,
  customers: {
    net: 'SELECT *, net AS amount, orders_kept AS orders_counted FROM recur.v_customer_facts',
    gross: 'SELECT *, gross AS amount, orders AS orders_counted FROM recur.v_customer_facts',
    time: 'first_seen',
    orders: false,
  },
  orders: {
    net: 'SELECT *, net AS amount FROM recur.v_order_facts WHERE kept',
    gross: 'SELECT *, gross AS amount FROM recur.v_order_facts',
    time: 'time',
    orders: true,
  },
  order_lines: {
    net: 'SELECT * EXCEPT (amount), net AS amount FROM recur.v_order_lines_net WHERE returned_quantity < quantity',
    gross: 'SELECT * FROM recur.v_order_lines_net',
    time: 'time',
    orders: true,
  },
  events: { ...both(withIdentified('v_events')), time: 'time', orders: false },
  messages: { ...both(withIdentified('v_messages')), time: 'sent_at', orders: false },
};

export const metricView = (id: string): string => `m_${id}`;
export const dimensionView = (id: string): string => `d_${id}`;

const PERIODS: Readonly<Partial<Record<Period, (day: string) => string>>> = {
  [Period.PERIOD_DAY]: (day) => day,
  [Period.PERIOD_WEEK]: (day) => `toMonday(${day})`,
  [Period.PERIOD_MONTH]: (day) => `toStartOfMonth(${day})`,
};

/** What people wrote stands on lines of its own, in parentheses, so that it cannot reach into what is around it. */
const own = (expression: string): string => `(\n${expression}\n)`;

/** The SELECT a metric is. */
export function metricSql(metric: Metric, shopTimeZone: string, dimensions: ReadonlyMap<string, Dimension>): string {
  if (metric.formula?.$case === 'sql') return metric.formula.value.trim();
  if (metric.formula?.$case !== 'measure') throw new Error('a metric without a formula');
  return measureSql(metric, metric.formula.value, metric.timeZone || shopTimeZone, dimensions);
}

function measureSql(metric: Metric, measure: Measure, zone: string, known: ReadonlyMap<string, Dimension>): string {
  const source = SOURCES[measure.source];
  if (source === undefined) throw new Error(`no source ${measure.source}`);
  const keys = measure.dimensions.map(dimensionView);
  if (metric.guests === Guests.GUESTS_APART) keys.unshift('identified');
  const period = PERIODS[measure.period]?.(`toDate(${source.time}, '${zone}')`);
  if (period !== undefined) keys.unshift('period');
  const filters = [
    metric.guests === Guests.GUESTS_EXCLUDED ? 'identified' : '',
    metric.windowDays > 0
      ? `${source.time} > (SELECT now FROM recur.v_clock) - toIntervalDay(${metric.windowDays}) AND ${source.time} <= (SELECT now FROM recur.v_clock)`
      : '',
    measure.where.trim() === '' ? '' : own(measure.where),
  ].filter((filter) => filter !== '');
  const line = metric.healthLine;
  return [
    'SELECT',
    ...(period === undefined ? [] : [`    ${period} AS period,`]),
    ...keys.filter((key) => key !== 'period').map((key) => `    ${key},`),
    `    CAST(${own(measure.numerator)} AS Nullable(Float64)) AS numerator,`,
    `    CAST(${measure.denominator.trim() === '' ? '1' : own(measure.denominator)} AS Nullable(Float64)) AS denominator,`,
    `    numerator / nullIf(denominator, 0) AS value${line === undefined ? '' : `,\n    value ${metric.lessIsBetter ? '<=' : '>='} ${line} AS healthy`}`,
    `FROM\n(\n${joined(metric, measure, source, known)}\n)`,
    ...(filters.length === 0 ? [] : [`WHERE ${filters.join('\n    AND ')}`]),
    ...(keys.length === 0 ? [] : [`GROUP BY ${keys.join(', ')}\nORDER BY ${keys.join(', ')}`]),
  ].join('\n');
}

/** Rows of the source with a column for each dimension. */
function joined(metric: Metric, measure: Measure, source: SourceSql, known: ReadonlyMap<string, Dimension>): string {
  const rows = metric.refunds === Refunds.REFUNDS_GROSS ? source.gross : source.net;
  if (measure.dimensions.length === 0) return rows;
  const joins = measure.dimensions.map((id, i) => {
    const byOrder = known.get(id)?.subject === DimensionSubject.DIMENSION_SUBJECT_ORDER;
    const order = byOrder ? ` AND x${i}.order_id = r.order_id` : '';
    return `LEFT ANY JOIN recur.${dimensionView(id)} AS x${i} ON x${i}.customer_id = r.customer_id${order}`;
  });
  const columns = measure.dimensions.map((id, i) => `x${i}.value AS ${dimensionView(id)}`);
  return `SELECT r.*, ${columns.join(', ')}\nFROM (${rows}) AS r\n${joins.join('\n')}`;
}

/** The SELECT a dimension is. */
export function dimensionSql({ subject, expression }: Dimension): string {
  const value = `toString(${own(expression)}) AS value`;
  return subject === DimensionSubject.DIMENSION_SUBJECT_ORDER
    ? `SELECT customer_id, order_id, ${value} FROM recur.v_order_facts`
    : `SELECT customer_id, ${value} FROM recur.v_customer_facts`;
}
