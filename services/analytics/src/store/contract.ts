import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogueEntry } from '../core/metric-file.ts';
import type { Engine } from '../engine/engine.ts';
import { loadCustomerMap } from './customer-map.ts';
import { statements } from './migrate.ts';
import { asked, type SchemaObject } from './schema.ts';

/** What analysts rely on: contract.json. Columns, what metrics say they are, and what views answer about a small shop. */
export interface Contract {
  /** Object → column → type. */
  readonly columns: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Metric → unit, window, refunds, guests, zone, line, view in one text. */
  readonly metrics: Readonly<Record<string, string>>;
  /** View → rows and a digest of them, about contract/sample.sql. */
  readonly answers: Readonly<Record<string, string>>;
}

/**
 * What depends on runs of a model, or grows with every metric that is added; steps on the way to answers that are asked; and
 * twins as of a moment, which are made from the same SQL.
 */
const UNANSWERED =
  /^(v_prediction|v_purchase_(days|history)|v_metric_catalogue|v_health|v_experiment_(parts|orders|events|measures|moments|compared|judged|breakdown|power)|.*_as_of$)/;

/** The contract the database as it is now would keep. Fills empty tables with the sample shop. */
export async function contractOf(
  engine: Engine,
  folder: string,
  objects: readonly SchemaObject[],
  metrics: readonly CatalogueEntry[],
): Promise<Contract> {
  for (const sql of statements(await readFile(join(folder, 'sample.sql'), 'utf8'))) await engine.command(sql);
  await loadCustomerMap(engine);
  const columns: Record<string, Record<string, string>> = {};
  const answers: Record<string, string> = {};
  for (const object of objects) {
    columns[object.name] = Object.fromEntries(object.columns.map((c) => [c.name, c.type]));
    if (object.name === 'v_metrics') Object.assign(answers, await valuesOf(engine));
    else if (object.kind === 'view' && !UNANSWERED.test(object.name))
      answers[object.name] = await answerOf(engine, object);
  }
  return { columns, metrics: Object.fromEntries(metrics.map((m) => [m.id, saidOf(m)])), answers };
}

const saidOf = (m: CatalogueEntry): string =>
  [
    m.unit,
    m.window,
    m.refunds,
    m.guests,
    m.timeZone,
    m.health ? `${m.health.atLeast ? '>=' : '<='} ${m.health.line}` : '-',
    m.view,
  ].join(' | ');

/** One by one, so that a new metric changes nothing about the others. */
async function valuesOf(engine: Engine): Promise<Record<string, string>> {
  const rows = await engine.rows<{ metric: string; value: number | null }>(
    'SELECT metric, value FROM recur.v_metrics ORDER BY metric',
  );
  return Object.fromEntries(
    rows.map(({ metric, value }) => [`metric ${metric}`, value === null ? 'NULL' : value.toPrecision(9)]),
  );
}

async function answerOf(engine: Engine, object: SchemaObject): Promise<string> {
  const rows = await engine.rows<Record<string, unknown>>(`SELECT * FROM ${asked(object.name, object.parameters)}`);
  const texts = rows
    .map((row) =>
      JSON.stringify(row, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(9)) : value)),
    )
    .sort();
  const digest = createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 16);
  return `${rows.length} ${digest}`;
}

/** What of the contract is broken: gone, of another type, meaning something else. */
export function broken(kept: Contract, now: Contract): string[] {
  const problems: string[] = [];
  for (const [object, columns] of Object.entries(kept.columns)) {
    const there = now.columns[object];
    if (there === undefined) problems.push(`${object} is gone`);
    else
      for (const [column, type] of Object.entries(columns)) {
        if (there[column] === undefined) problems.push(`${object}.${column} is gone`);
        else if (there[column] !== type) problems.push(`${object}.${column} is ${there[column]}, was ${type}`);
      }
  }
  for (const [metric, said] of Object.entries(kept.metrics)) {
    if (now.metrics[metric] === undefined) problems.push(`metric ${metric} is gone`);
    else if (now.metrics[metric] !== said)
      problems.push(`metric ${metric} says "${now.metrics[metric]}", said "${said}"`);
  }
  for (const [view, answer] of Object.entries(kept.answers)) {
    const sameColumns = JSON.stringify(kept.columns[view]) === JSON.stringify(now.columns[view]);
    // With a column more the rows differ; that they mean the same can then only be seen after it was accepted.
    if (sameColumns && now.answers[view] !== undefined && now.answers[view] !== answer)
      problems.push(`${view} answers differently about the same shop: ${now.answers[view]}, was ${answer}`);
  }
  return problems;
}

/** What is there and not in the contract yet. */
export function added(kept: Contract, now: Contract): string[] {
  const news: string[] = [];
  for (const [object, columns] of Object.entries(now.columns)) {
    const before = kept.columns[object];
    if (before === undefined) news.push(object);
    else
      news.push(
        ...Object.keys(columns)
          .filter((c) => before[c] === undefined)
          .map((c) => `${object}.${c}`),
      );
  }
  news.push(
    ...Object.keys(now.metrics)
      .filter((m) => kept.metrics[m] === undefined)
      .map((m) => `metric ${m}`),
  );
  return news;
}
