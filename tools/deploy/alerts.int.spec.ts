import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { isService } from '#tools/cluster/roles.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { metricsOf, until } from '#tools/library/progress.ts';
import { alerts, panels, selected } from './alerts.ts';

/** By metric as Prometheus will know it: the labels its samples carry, undefined when it has no sample yet. */
type Scrape = Map<string, Set<string> | undefined>;

let cluster: Cluster;
let scrape: Scrape;
beforeAll(async () => {
  cluster = await startCluster({ ports: 'private', logLevel: 'warn' });
  const api = connectApi(cluster.endpoints);
  await loadLibrary(api);
  const { ingestHttp, writeKey } = cluster.endpoints;
  const headers = { 'x-write-key': writeKey, 'content-type': 'application/json' };
  const send = (path: string, body: object) =>
    fetch(`${ingestHttp}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  await send('identify', { userId: 'anna', traits: { email: 'anna@example.com', firstName: 'Anna' } });
  await send('track', {
    userId: 'anna',
    event: 'Consent Given',
    properties: { channel: 'email', purpose: 'marketing' },
  });
  await send('track', { userId: 'anna', event: 'Order Completed', properties: { order_id: 'o-1', total: 12 } });
  await send('track', { userId: 'anna', properties: {} });
  const seen = async (metric: string) => (await scrapeOf(cluster)).get(metric) !== undefined;
  await until('rows in ClickHouse', () => seen('recur_sink_rows_total'));
  scrape = await scrapeOf(cluster);
  closeApi(api);
}, 120_000);
afterAll(() => cluster?.stop());

async function scrapeOf({ members }: Cluster): Promise<Scrape> {
  const found: Scrape = new Map();
  for (const { role, ports } of members) {
    if (!isService(role)) continue;
    for (const line of (await metricsOf(`http://127.0.0.1:${ports.http}`)).split('\n')) {
      const [, name = '', type] = /^# TYPE (\S+) (\w+)/.exec(line) ?? [];
      const parts = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      if (type !== undefined) for (const part of parts) if (!found.has(name + part)) found.set(name + part, undefined);
      const [, metric, labels = ''] = /^([a-zA-Z_:]\w*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
      if (metric === undefined) continue;
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
      found.set(metric, new Set([...(found.get(metric) ?? []), ...names]));
    }
  }
  return found;
}

const asked = [
  ...alerts().map(({ alert, expr }) => [alert, expr] as const),
  ...panels().flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
];

test.each(asked)('%s asks for what a running cluster tells: %s', (_, expr) => {
  const wanted = selected(expr);
  expect(wanted.length).toBeGreaterThan(0);
  for (const { metric, labels } of wanted) {
    expect(scrape.has(metric), metric).toBe(true);
    const has = scrape.get(metric);
    if (has !== undefined) for (const label of labels) expect([...has], `${metric}{${label}}`).toContain(label);
  }
});
