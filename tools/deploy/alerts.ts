import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const TELEMETRY = join(DEPLOY, 'components/telemetry');

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function alerts(): Alert[] {
  const file = parse(readFileSync(join(TELEMETRY, 'alerts.yaml'), 'utf8')) as { groups: { rules: Alert[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

/** Pages of deploy/runbooks, by name. */
export function runbooks(): ReadonlyMap<string, string> {
  const folder = join(DEPLOY, 'runbooks');
  return new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}

export interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

export function panels(): Panel[] {
  return (JSON.parse(readFileSync(join(TELEMETRY, 'dashboard.json'), 'utf8')) as { panels: Panel[] }).panels;
}

/** A metric an expression asks for, with the labels it selects or groups by. */
export interface Selected {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** What is PromQL's own. A name that is neither this, nor a label, nor a metric, is a mistake. */
const WORDS = new Set(
  'absent and by for group_right histogram_quantile increase max on rate sum time without'.split(' '),
);
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/g;

/**
 * The metrics of an expression. Groupings and matchers are taken out first, so that every name left is a function or a metric.
 * @returns also names that are neither
 */
export function selected(expr: string): Selected[] {
  const grouped = [...expr.matchAll(/\b(?:by|on|without|group_right)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    [...list.matchAll(NAME)].map(([name]) => name),
  );
  const bare = expr
    .replace(/\b(?:by|on|without|group_right)\s*\([^)]*\)/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b\d+(?:\.\d+)?(?:e\d+)?\b/g, ' ');
  const found: Selected[] = [];
  for (const [, metric = '', matchers = ''] of bare.matchAll(/([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?/g)) {
    if (WORDS.has(metric)) continue;
    const matched = [...matchers.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
    found.push({ metric, labels: [...matched, ...grouped] });
  }
  return found;
}
