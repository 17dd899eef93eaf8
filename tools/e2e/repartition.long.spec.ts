import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { createTemplate, SIGNED_UP, startJourney } from '#tools/bench/definitions.ts';
import { startCluster } from '#tools/cluster/start.ts';

import { balances, SEGMENT } from '#tools/faults/check.ts';
import { Ledger } from '#tools/faults/ledger.ts';
import { Load } from '#tools/faults/load.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { until } from '#tools/library/progress.ts';
import { sql } from '#tools/library/sql.ts';
import { repartitionCluster } from '#tools/repartition/cluster.ts';
import { profilesOf } from './customers.ts';
import { Quiescence } from './quiescence.ts';

/** Waits in the journey span the changes: their timers move with their customers. */
const WELCOME_LATER = SIGNED_UP.replace(
  'start: confirm\n  nodes:',
  'start: later\n  nodes:\n    - { id: later, wait: { duration: PT20S, next: confirm } }',
);

test('from 4 to 6 to 3 partitions under load: nothing lost or double, waits end, new traits know the events of all times', async () => {
  const cluster = await startCluster({ partitions: 4, readyTimeoutMs: 120_000 });
  const { ingestHttp: url, writeKeys, clickhouseHttp, mailboxHttp } = cluster.endpoints;
  const api = connectApi(cluster.endpoints);
  const quiescence = new Quiescence(cluster);
  const ledger = new Ledger();
  const load = new Load({ url, writeKey: writeKeys.web as string, ledger, random: Math.random, rate: 100, run: 'cut' });
  const lines: string[] = [];
  try {
    const rule = Rule.fromPartial({ orders: { count: { atLeast: 1 } } });
    await api.segmentation.createSegment({ segment: Segment.fromPartial({ id: SEGMENT, rule }), requestId: SEGMENT });
    await createTemplate(api, 'signed_up', 'Welcome');
    await startJourney(api, WELCOME_LATER);
    await quiescence.defined({ segmentation: 1, journey: 1, messaging: 1 });
    load.start();
    for (const to of [6, 3]) {
      await sleep(8_000);
      const { from, moved, stoodMs } = await repartitionCluster(cluster, to, (line) => lines.push(line));
      lines.push(`${from} to ${to}: ${JSON.stringify(moved)} moved, identity stood for ${Math.round(stoodMs)} ms`);
      expect(moved.profile).toBeGreaterThan(5);
    }
    await sleep(5_000);
    await load.stop();
    await sleep(20_000);
    console.log(lines.join('\n'));
    expect(ledger.refusals).toBe(0);
    await quiescence.reached('everything acknowledged to have all its effects');
    const found = await balances(ledger, { api, clickhouseHttp, mailboxHttp });
    expect(found.filter(({ lost, duplicated }) => lost + duplicated > 0)).toEqual([]);
    expect(found.every(({ expected }) => expected > 20)).toBe(true);

    const computedTrait = ComputedTrait.fromPartial({
      ...{ id: 'views', englishName: 'views', chineseName: '浏览', events: ['Product Viewed'] },
      aggregation: Aggregation.AGGREGATION_COUNT,
    });
    await api.profileDefinitions.createComputedTrait({ computedTrait, requestId: 'views' });
    await until('the trait to be filled', async () => {
      const { completePartitions, partitions } = await api.profileDefinitions.getComputedTrait({ id: 'views' });
      return completePartitions === partitions;
    });
    const views = await sql<{ customer: string; n: number }>(
      clickhouseHttp,
      "SELECT customer_id AS customer, count() AS n FROM events WHERE name = 'Product Viewed' GROUP BY customer_id",
    );
    expect(
      new Set(
        (await sql<{ p: number }>(clickhouseHttp, 'SELECT DISTINCT partition AS p FROM events')).map(({ p }) => p),
      ).size,
    ).toBe(6);
    const profiles = await profilesOf(
      api,
      views.map(({ customer }) => customer),
    );
    const viewsOf = (i: number) => profiles[i]?.computedTraits.find(({ id }) => id === 'views')?.valueJson;
    expect(views.map((_, i) => viewsOf(i))).toEqual(views.map(({ n }) => String(n)));
  } finally {
    await load.stop().catch(() => {});
    await quiescence.close();
    closeApi(api);
    await cluster.stop();
  }
}, 300_000);
