import { parse } from 'yaml';

/** A dashboard as it is written down: services/analytics/dashboards/*.yaml. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Grafana's start of the time shown, such as now-90d. */
  readonly from: string;
  readonly variables: readonly Variable[];
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** Values come from a query (several may be chosen, all at first) … */
  readonly sql?: string;
  /** … or are these (one is chosen, the last at first). */
  readonly options?: readonly string[];
}

export const PANEL_TYPES = ['stat', 'timeseries', 'table', 'barchart', 'piechart'] as const;

export interface Panel {
  readonly title: string;
  readonly description?: string;
  readonly type: (typeof PANEL_TYPES)[number];
  /** Grafana's id of a unit. */
  readonly unit: string;
  /** Columns that are shares, whatever the unit of the others. */
  readonly percent?: readonly string[];
  /** From here on it is good: green above, red below. */
  readonly healthy?: number;
  readonly stack?: boolean;
  /** Of 24. */
  readonly width?: number;
  readonly height?: number;
  readonly sql: string;
}

const UNITS = ['short', 'percentunit', 's', 'dateTimeAsIso'];

/** @throws Error naming file, panel and rule */
export function readDashboard(file: string, text: string): Dashboard {
  const dashboard = parse(text) as Dashboard;
  const must = (holds: boolean, rule: string) => {
    if (!holds) throw new Error(`${file}: ${rule}`);
  };
  must(/^[a-z0-9-]{1,40}$/.test(dashboard.uid), 'uid must be 1 to 40 of a-z 0-9 -');
  must(/\p{Script=Han}/u.test(dashboard.title), 'title must be in English and in Chinese');
  must(/^now-\d+[dM]$/.test(dashboard.from), 'from must be now-<N>d');
  const names = dashboard.variables.map(({ name }) => name);
  for (const { title, type, unit, sql, width = 8 } of dashboard.panels) {
    must(PANEL_TYPES.includes(type), `${title}: type must be one of ${PANEL_TYPES.join(', ')}`);
    must(/\p{Script=Han}/u.test(title), `${title}: title must be in English and in Chinese`);
    must(UNITS.includes(unit), `${title}: unit must be one of ${UNITS.join(', ')}`);
    must(width >= 1 && width <= 24, `${title}: width must be 1 to 24`);
    for (const [, used = ''] of sql.matchAll(/\$\{(\w+)/g))
      must(names.includes(used), `${title}: there is no variable ${used}`);
    must(type !== 'timeseries' || /\bAS time\b/.test(sql), `${title}: a series over time needs a column called time`);
  }
  return dashboard;
}
