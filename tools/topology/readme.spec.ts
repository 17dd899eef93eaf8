import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);

const pages = [
  ...[
    'README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'services/README.md',
    'proto/README.md',
    'docs/decisions/README.md',
  ],
  ...['deploy/README.md', 'deploy/schemas/README.md', 'loadtest/README.md'],
  ...['tools/README.md', 'tools/importer/README.md', 'tools/sample-shop/README.md'],
];

describe.each(pages)('%s', (page) => {
  const text = read(page);

  test('leads to files that are there', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, to = '']) => to);
    const broken = links.filter((to) => !/^https?:/.test(to) && !existsSync(join(root, dirname(page), to)));
    expect(broken).toEqual([]);
  });

  test('names commands there are', () => {
    const named = [...text.matchAll(/npm run (?:--silent )?([a-z][a-z0-9:-]*)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
  });
});

test('README lists every documented view, and no other', () => {
  const inFolder = (folder: string) => readdirSync(join(root, folder)).map((file) => read(join(folder, file)));
  const sql = inFolder('services/analytics/views').flatMap((text) => [...text.matchAll(/VIEW recur\.(v_\w+)/g)]);
  const metrics = inFolder('services/analytics/metrics').flatMap((text) => [...text.matchAll(/^view: (v_\w+)$/gm)]);
  const made = ['v_metric_catalogue', 'v_metrics', 'v_health'];
  // A view as of a moment is the view with a parameter more.
  const asOf = (name: string) => name.endsWith('_as_of');
  const views = [...[...sql, ...metrics].map(([, name = '']) => name), ...made].filter((name) => !asOf(name));
  const listed = [...read('README.md').matchAll(/`(v_\w+)[`(]/g)]
    .map(([, name = '']) => name)
    .filter((name) => !asOf(name));
  expect([...new Set(listed)].sort()).toEqual([...new Set(views)].sort());
});
