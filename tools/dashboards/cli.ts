import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardFiles, FOLDER } from './files.ts';

const HELP = `npm run dashboards

Writes services/analytics/dashboards/grafana/*.json anew from the definitions beside that folder. In Grafana: install the data source
grafana-clickhouse-datasource, point it at the ClickHouse HTTP endpoint (protocol HTTP, npm run status shows where; elsewhere an
API token is the password), then Dashboards → New → Import. services/analytics/dashboards/README.md says more.`;

if (process.argv.length > 2) console.log(HELP);
else {
  mkdirSync(join(FOLDER, 'grafana'), { recursive: true });
  for (const [file, text] of dashboardFiles()) {
    writeFileSync(join(FOLDER, file), text);
    console.log(file);
  }
}
