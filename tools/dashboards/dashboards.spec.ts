import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDashboard } from './definition.ts';
import { dashboardFiles, FOLDER } from './files.ts';

interface Json {
  readonly uid: string;
  readonly panels: readonly {
    id: number;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets: { rawSql: string; datasource: { uid: string } }[];
    fieldConfig: { defaults: { unit: string } };
  }[];
  readonly templating: { list: { name: string }[] };
}

const files = [...dashboardFiles()];
const dashboards = files.map(([file, text]): [string, Json] => [file, JSON.parse(text) as Json]);

describe('dashboards', () => {
  it.each(files)('%s is what npm run dashboards writes', (file, text) => {
    const path = join(FOLDER, file);
    expect(existsSync(path) ? readFileSync(path, 'utf8') : '', 'run: npm run dashboards').toBe(text);
  });

  it('five, each with an address of its own', () => {
    expect(dashboards.map(([, { uid }]) => uid).sort()).toEqual([
      'recur-experiments',
      'recur-journeys',
      'recur-lifecycle',
      'recur-messaging',
      'recur-sales',
    ]);
  });

  it.each(dashboards)('%s: panels have ids, units, one source, and do not overlap', (_, { panels, templating }) => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(templating.list[0]?.name).toBe('datasource');
    const taken = new Set<string>();
    for (const { gridPos, targets, fieldConfig, title } of panels) {
      expect(fieldConfig.defaults.unit, title).not.toBe('');
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
      expect(targets.map(({ datasource }) => datasource.uid)).toEqual(['${datasource}']);
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x}/${y}`), `${title} at ${x}/${y}`).toBe(false);
          taken.add(`${x}/${y}`);
        }
      }
    }
  });
});

it('a definition that cannot be drawn is refused, with what is wrong', () => {
  const of = (panel: string) => () =>
    readDashboard('x.yaml', `{ uid: x, title: X 表, from: now-1d, variables: [], panels: [{ ${panel} }] }`);
  expect(of('title: A 一, type: gauge, unit: short, sql: SELECT 1')).toThrow('x.yaml: A 一: type must be one of stat,');
  expect(of('title: A, type: stat, unit: short, sql: SELECT 1')).toThrow('in Chinese');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
  expect(of("title: A 一, type: stat, unit: short, sql: 'SELECT ${shop}'")).toThrow('there is no variable shop');
  expect(of('title: A 一, type: timeseries, unit: short, sql: SELECT 1')).toThrow('column called time');
  expect(of('title: A 一, type: stat, unit: metres, sql: SELECT 1')).toThrow('unit must be one of');
});
