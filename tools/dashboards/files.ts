import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import { readDashboard } from './definition.ts';
import { grafanaOf } from './grafana.ts';

export const FOLDER = join(ROOT, 'services/analytics/dashboards');

/** File in grafana/ → its text, made from the definitions. */
export function dashboardFiles(folder = FOLDER): Map<string, string> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort();
  return new Map(
    names.map((name) => {
      const dashboard = readDashboard(name, readFileSync(join(folder, name), 'utf8'));
      return [join('grafana', name.replace('.yaml', '.json')), `${JSON.stringify(grafanaOf(dashboard), null, 2)}\n`];
    }),
  );
}
