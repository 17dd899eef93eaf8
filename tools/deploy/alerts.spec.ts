import { expect, test } from 'vitest';
import { alerts, panels, runbooks, selected } from './alerts.ts';

test('every alert says what it is, how urgent, and has a page; every page has an alert', () => {
  const pages = runbooks();
  const used = new Set<string>();
  for (const { alert, labels, annotations } of alerts()) {
    expect(alert).toMatch(/^Recur[A-Z]\w+$/);
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\S/);
    const page = annotations.runbook_url?.replace('deploy/runbooks/', '') ?? '';
    expect(pages.has(page), `${alert}: ${page}`).toBe(true);
    used.add(page);
  }
  expect([...used].sort()).toEqual([...pages.keys()].sort());
});

test.each([...runbooks()])('%s: what it means, what to look at, what to do', (name, text) => {
  expect(text).toMatch(new RegExp(`^# ${name.replace('.md', '')}\n`));
  for (const part of ['**What it means.**', '**What to look at.**', '**What to do.**']) expect(text).toContain(part);
});

test('names are told apart: functions, labels, metrics', () => {
  expect(selected('sum by (service) (rate(a_total{code=~"X|Y", b="c"}[5m])) / max(d_seconds) > 0.5')).toEqual([
    { metric: 'a_total', labels: ['code', 'b', 'service'] },
    { metric: 'd_seconds', labels: ['service'] },
  ]);
  expect(selected('maximum(x_total)').map(({ metric }) => metric)).toEqual(['maximum', 'x_total']);
});

test('parentheses of every expression are closed', () => {
  const all = [...alerts(), ...panels().flatMap(({ targets }) => targets)];
  for (const { expr } of all) {
    let depth = 0;
    for (const c of expr) {
      if (c === '(') depth++;
      if (c === ')') depth--;
      expect(depth, expr).toBeGreaterThanOrEqual(0);
    }
    expect(depth, expr).toBe(0);
  }
});
