import type { Dashboard, Panel, Variable } from './definition.ts';

/** What an import asks for: whoever imports it chooses the source. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
const SOURCE = { type: 'grafana-clickhouse-datasource', uid: '${datasource}' };
/** Grafana 11; later ones bring it up to date by themselves. */
const SCHEMA_VERSION = 39;
const COLUMNS = 24;

/** The dashboard in Grafana's own JSON. The same definition gives the same text. */
export function grafanaOf(dashboard: Dashboard): Record<string, unknown> {
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.description,
    tags: ['recur'],
    editable: true,
    graphTooltip: 1,
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    timezone: 'browser',
    refresh: '5m',
    time: { from: dashboard.from, to: 'now' },
    timepicker: {},
    annotations: { list: [] },
    links: [{ type: 'dashboards', tags: ['recur'], asDropdown: false, includeVars: false, keepTime: true, title: '' }],
    templating: { list: [sourceVariable(), ...dashboard.variables.map(variableOf)] },
    panels: placed(dashboard.panels).map(([panel, gridPos], i) => panelOf(panel, gridPos, i + 1)),
  };
}

const sourceVariable = () => ({
  name: 'datasource',
  label: 'ClickHouse',
  type: 'datasource',
  query: SOURCE.type,
  refresh: 1,
  hide: 0,
  includeAll: false,
  multi: false,
  current: {},
  options: [],
});

function variableOf({ name, label, sql, options = [] }: Variable): Record<string, unknown> {
  if (sql !== undefined) {
    const current = { selected: true, text: ['All'], value: ['$__all'] };
    return {
      name,
      label,
      type: 'query',
      datasource: SOURCE,
      query: sql,
      definition: sql,
      refresh: 2,
      sort: 1,
      hide: 0,
      includeAll: true,
      multi: true,
      current,
      options: [],
    };
  }
  const last = options.at(-1) ?? '';
  const listed = options.map((value) => ({ text: value, value, selected: value === last }));
  return {
    name,
    label,
    type: 'custom',
    query: options.join(','),
    hide: 0,
    includeAll: false,
    multi: false,
    current: { text: last, value: last, selected: true },
    options: listed,
  };
}

interface GridPos {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** From left to right; a panel that does not fit begins a new row under the highest of the last. */
function placed(panels: readonly Panel[]): [Panel, GridPos][] {
  let [x, y, row] = [0, 0, 0];
  return panels.map((panel) => {
    const w = panel.width ?? (panel.type === 'stat' ? 4 : 8);
    const h = panel.height ?? (panel.type === 'stat' ? 4 : 9);
    if (x + w > COLUMNS) [x, y, row] = [0, y + row, 0];
    const place = { x, y, w, h };
    x += w;
    row = Math.max(row, h);
    return [panel, place];
  });
}

function panelOf(panel: Panel, gridPos: GridPos, id: number): Record<string, unknown> {
  const overTime = panel.type === 'timeseries';
  const target = {
    refId: 'A',
    datasource: SOURCE,
    editorType: 'sql',
    format: overTime ? 0 : 1,
    queryType: overTime ? 'timeseries' : 'table',
    rawSql: panel.sql.trim(),
    meta: {},
  };
  const overrides = (panel.percent ?? []).map((name) => ({
    matcher: { id: 'byName', options: name },
    properties: [
      { id: 'unit', value: 'percentunit' },
      { id: 'decimals', value: 1 },
    ],
  }));
  return {
    id,
    type: panel.type,
    title: panel.title,
    ...(panel.description === undefined ? {} : { description: panel.description }),
    gridPos,
    datasource: SOURCE,
    targets: [target],
    fieldConfig: { defaults: defaultsOf(panel), overrides },
    options: optionsOf(panel),
  };
}

function defaultsOf({ type, unit, healthy, stack }: Panel): Record<string, unknown> {
  const steps =
    healthy === undefined
      ? [{ color: 'blue', value: null }]
      : [
          { color: 'red', value: null },
          { color: 'green', value: healthy },
        ];
  return {
    unit,
    ...(unit === 'percentunit' ? { decimals: 1 } : {}),
    color: { mode: type === 'stat' ? 'thresholds' : 'palette-classic' },
    thresholds: { mode: 'absolute', steps },
    custom: type === 'timeseries' ? lines(healthy !== undefined, stack ?? false) : {},
  };
}

const lines = (threshold: boolean, stack: boolean) => ({
  drawStyle: stack ? 'bars' : 'line',
  fillOpacity: stack ? 60 : 10,
  lineWidth: 1,
  showPoints: 'never',
  spanNulls: false,
  stacking: { mode: stack ? 'normal' : 'none', group: 'A' },
  thresholdsStyle: { mode: threshold ? 'line' : 'off' },
});

function optionsOf({ type }: Panel): Record<string, unknown> {
  switch (type) {
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'none',
        justifyMode: 'auto',
        orientation: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        textMode: 'auto',
      };
    case 'timeseries':
      return {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'barchart':
      return {
        orientation: 'auto',
        xTickLabelRotation: -30,
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'none' },
      };
    case 'piechart':
      return {
        pieType: 'donut',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: true },
        legend: { displayMode: 'table', placement: 'right', showLegend: true, values: ['percent'] },
        tooltip: { mode: 'single', sort: 'none' },
      };
    case 'table':
      return { showHeader: true, cellHeight: 'sm', footer: { show: false, reducer: ['sum'], countRows: false } };
  }
}
