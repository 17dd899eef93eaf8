import {
  type Dimension,
  DimensionSubject,
  Guests,
  type Measure,
  type Metric,
  Refunds,
} from '#gen/recur/analytics/v1/metric.ts';
import { dimensionView, metricView, SOURCES } from './metric-sql.ts';
import { checkQuery, isRefusal } from './sql-guard.ts';
import { type Token, tokensOf, UnreadableSql } from './sql-tokens.ts';

export interface Violation {
  readonly field: string;
  readonly description: string;
}

export const UNITS: readonly string[] = ['share', 'money', 'count', 'ratio', 'days'];
const MAX_SQL = 16_384;
const MAX_EXPRESSION = 4_000;
const ID = /^[a-z0-9][a-z0-9_]{0,62}$/;

/** What is wrong with a metric by itself; whether ClickHouse understands it is asked of ClickHouse. */
export function checkMetric(metric: Metric, builtIn: ReadonlySet<string>): Violation[] {
  const wrong = checkTexts('metric', metric);
  const bad = (field: string, description: string) => wrong.push({ field: `metric.${field}`, description });
  if (builtIn.has(metric.id)) bad('id', `${metric.id} is built in`);
  if (metric.chineseName.length > 200) bad('chinese_name', 'must be at most 200 characters');
  if (!UNITS.includes(metric.unit))
    bad('unit', `${JSON.stringify(metric.unit.slice(0, 40))} must be one of ${UNITS.join(', ')}`);
  if (!(metric.windowDays >= 0 && metric.windowDays <= 3_660))
    bad('window_days', `${metric.windowDays} must be 0 to 3660`);
  if (metric.timeZone !== '' && !isZone(metric.timeZone))
    bad('time_zone', 'must be an IANA time zone, such as Asia/Shanghai');
  if (![Refunds.REFUNDS_NET, Refunds.REFUNDS_GROSS].includes(metric.refunds as 1)) bad('refunds', 'must be said');
  if (![Guests.GUESTS_EXCLUDED, Guests.GUESTS_INCLUDED, Guests.GUESTS_APART].includes(metric.guests as 1))
    bad('guests', 'must be said');
  if (metric.healthLine !== undefined && !Number.isFinite(metric.healthLine)) bad('health_line', 'must be a number');
  if (metric.formula === undefined) bad('measure', 'or sql must be set');
  else if (metric.formula.$case === 'sql') {
    if (metric.windowDays > 0) bad('window_days', 'needs a measure: an SQL metric has its window in its SQL');
    wrong.push(...checkSelect('metric.sql', metric.formula.value));
  } else wrong.push(...checkMeasure(metric.formula.value));
  return wrong;
}

export function checkDimension(dimension: Dimension): Violation[] {
  const { DIMENSION_SUBJECT_CUSTOMER, DIMENSION_SUBJECT_ORDER } = DimensionSubject;
  const known = ([DIMENSION_SUBJECT_CUSTOMER, DIMENSION_SUBJECT_ORDER] as number[]).includes(dimension.subject);
  return [
    ...checkTexts('dimension', dimension),
    ...(known ? [] : [{ field: 'dimension.subject', description: 'must be CUSTOMER or ORDER' }]),
    ...checkExpression('dimension.expression', dimension.expression, true),
  ];
}

function checkTexts(
  of: string,
  { id, displayName, description, owner }: { id: string; displayName: string; description: string; owner: string },
): Violation[] {
  const rules: readonly (readonly [boolean, string, string])[] = [
    [ID.test(id), 'id', 'must be 1 to 63 of a-z, 0-9 and "_", beginning with a letter or digit: it names a view'],
    [displayName.length >= 1 && displayName.length <= 200, 'display_name', 'must be 1 to 200 characters'],
    [description.length <= 2_000, 'description', 'must be at most 2000 characters'],
    [owner.length >= 1 && owner.length <= 100, 'owner', 'must be 1 to 100 characters'],
  ];
  return rules.filter(([good]) => !good).map(([, field, text]) => ({ field: `${of}.${field}`, description: text }));
}

function checkMeasure(measure: Measure): Violation[] {
  const wrong: Violation[] = [];
  const at = 'metric.measure';
  if (SOURCES[measure.source] === undefined)
    wrong.push({ field: `${at}.source`, description: `must be one of ${Object.keys(SOURCES).join(', ')}` });
  if (measure.dimensions.length > 5) wrong.push({ field: `${at}.dimensions`, description: 'at most 5' });
  if (new Set(measure.dimensions).size < measure.dimensions.length)
    wrong.push({ field: `${at}.dimensions`, description: 'one is there twice' });
  return [
    ...wrong,
    ...checkExpression(`${at}.where`, measure.where, false),
    ...checkExpression(`${at}.numerator`, measure.numerator, true),
    ...checkExpression(`${at}.denominator`, measure.denominator, false),
  ];
}

/** Dimensions that are not there, or that do not fit the source. */
export function checkDimensionsOf(metric: Metric, known: ReadonlyMap<string, Dimension>): Violation[] {
  if (metric.formula?.$case !== 'measure') return [];
  const { source, dimensions } = metric.formula.value;
  return dimensions.flatMap((id, i) => {
    const field = `metric.measure.dimensions[${i}]`;
    const found = known.get(id);
    if (found === undefined)
      return [{ field, description: `there is no dimension ${JSON.stringify(id.slice(0, 63))}` }];
    return found.subject === DimensionSubject.DIMENSION_SUBJECT_ORDER && SOURCES[source]?.orders !== true
      ? [{ field, description: `${id} is one of orders and cannot break down ${source}` }]
      : [];
  });
}

/** A whole SELECT. */
export function checkSelect(field: string, sql: string): Violation[] {
  const no = (description: string): Violation[] => [{ field, description }];
  if (sql.trim() === '' || sql.length > MAX_SQL) return no(`must be 1 to ${MAX_SQL} characters`);
  const checked = checkQuery(sql);
  if (isRefusal(checked)) return no(checked.reason);
  const tokens = tokensOf(sql);
  const first = tokens.find((token) => token.text !== '(')?.text.toLowerCase();
  if (first !== 'select' && first !== 'with') return no('must be one SELECT');
  return closed(field, sql, tokens);
}

/** Part of a SELECT that is put together elsewhere: it must not reach out of its place. */
export function checkExpression(field: string, expression: string, needed: boolean): Violation[] {
  const no = (description: string): Violation[] => [{ field, description }];
  if (expression.trim() === '') return needed ? no('must be set') : [];
  if (expression.length > MAX_EXPRESSION) return no(`must be at most ${MAX_EXPRESSION} characters`);
  let tokens: Token[];
  try {
    tokens = tokensOf(expression);
  } catch (error) {
    if (error instanceof UnreadableSql) return no(error.message);
    throw error;
  }
  const checked = checkQuery(`SELECT (\n${expression}\n)`);
  return isRefusal(checked) ? no(checked.reason) : closed(field, expression, tokens);
}

const OPENING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** No comments to hide behind, no settings or parameters, and every bracket closed where it was opened. */
function closed(field: string, sql: string, tokens: readonly Token[]): Violation[] {
  const no = (description: string): Violation[] => [{ field, description }];
  const bare = sql.replace(/'(?:[^'\\]|\\[\s\S]|'')*'|`[^`]*`|"[^"]*"/g, "''");
  if (/--|\/\*|\*\/|#|\$/.test(bare)) return no('must be without comments and without $');
  const open: string[] = [];
  for (const [i, token] of tokens.entries()) {
    const word = token.kind === 'word' ? token.text.toLowerCase() : '';
    const next = tokens[i + 1]?.text;
    if (token.kind === 'parameter') return no('must be without parameters {name:Type}');
    if (word === 'settings' || (['format', 'into'].includes(word) && next !== '('))
      return no(`must be without ${word.toUpperCase()}`);
    if (token.kind !== 'sign') continue;
    if (Object.values(OPENING).includes(token.text)) open.push(token.text);
    else if (OPENING[token.text] !== undefined && open.pop() !== OPENING[token.text])
      return no(`closes a bracket ${token.text} that it did not open`);
  }
  return open.length > 0 ? no(`does not close ${open.at(-1)}`) : [];
}

/** Whether the SQL of a metric reads this view. */
export function reads(metric: Metric, view: string): boolean {
  if (metric.formula?.$case === 'measure') {
    const { dimensions, where, numerator, denominator } = metric.formula.value;
    return (
      dimensions.map(dimensionView).includes(view) || [where, numerator, denominator].some((text) => names(text, view))
    );
  }
  return metric.formula?.$case === 'sql' && metricView(metric.id) !== view && names(metric.formula.value, view);
}

const names = (sql: string, view: string): boolean =>
  tokensOf(sql).some((token) => (token.kind === 'word' || token.kind === 'quoted') && token.text === view);

function isZone(name: string): boolean {
  if (!/^[A-Za-z0-9_+/-]{1,64}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
