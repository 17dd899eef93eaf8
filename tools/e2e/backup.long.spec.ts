import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { backUp } from '#tools/backup/backup.ts';
import { checkedManifest } from '#tools/backup/manifest.ts';
import { restore } from '#tools/backup/restore.ts';
import { createTemplate, SIGNED_UP, startJourney } from '#tools/bench/definitions.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { balances, SEGMENT } from '#tools/faults/check.ts';
import { Ledger, type Sent } from '#tools/faults/ledger.ts';
import { emailOf, Load } from '#tools/faults/load.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { sql } from '#tools/library/sql.ts';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { mailsIn } from './mails.ts';
import { Quiescence } from './quiescence.ts';

const RATE = 300;
const PARTITIONS = 4;

test('backed up under load, destroyed, restored: nothing lost or double of what the backup has, and none of it is mailed again', async () => {
  const home = temporaryDir();
  // What went out is with the provider, whatever becomes of the cluster.
  const provider = await startCluster({ only: ['mailbox'] });
  const { smtpUrl, mailboxHttp } = provider.endpoints;
  const env = { SMTP_URL: smtpUrl, SMTP_LOOKUP_URL: mailboxHttp };
  const settings = { partitions: PARTITIONS, env, without: ['mailbox'] as const, readyTimeoutMs: 120_000 };

  const ledger = new Ledger();
  const folder = join(home, 'backup');
  const old = await startCluster({ ...settings, dir: join(home, 'old'), ports: 'private' });
  const before = await liveAndDie(old, ledger, folder);

  await restoreInto(join(home, 'new'), folder);
  const fresh = await startCluster({ ...settings, dir: join(home, 'new'), ports: 'private' });
  const { ingestHttp: url, writeKeys, clickhouseHttp } = fresh.endpoints;
  const api = connectApi(fresh.endpoints);
  const quiescence = new Quiescence(fresh);
  const found = (in_: Ledger) => balances(in_, { api, clickhouseHttp, mailboxHttp });
  try {
    await quiescence.reached('everything in the backup to have all its effects');
    const stored = await sql<{ id: string }>(clickhouseHttp, 'SELECT message_id AS id FROM events');
    const kept = ledgerOf(stored.map(({ id }) => ledger.acknowledged.get(id) as Sent));
    const after = [...ledger.acknowledged.values()].filter(({ messageId }) => !kept.acknowledged.has(messageId));
    const wrong = (all: Awaited<ReturnType<typeof balances>>) =>
      all.filter(({ what, lost, duplicated }) => !what.startsWith('mails') && lost + duplicated > 0);

    expect(
      [...before].filter((id) => !kept.acknowledged.has(id)),
      'acknowledged before the backup',
    ).toEqual([]);
    expect(after.length, 'acknowledged after it').toBeGreaterThan(RATE);
    expect(wrong(await found(kept))).toEqual([]);
    const times = timesOf(await mailsIn(mailboxHttp));
    const signedUp = (of: readonly Sent[]) =>
      of.filter(({ what }) => what === 'signed_up').map(({ person }) => emailOf(person));
    expect(signedUp([...kept.acknowledged.values()]).filter((to) => times.get(to) !== 1)).toEqual([]);
    // The old cluster had mailed some of these already; the new one does not know them.
    const mailedSince = signedUp(after).filter((to) => times.get(to) === 1);
    expect(signedUp(after).filter((to) => (times.get(to) ?? 0) > 1)).toEqual([]);

    // A sender that keeps its events for a while sends them again: then all is there, once. Only the mails of just these come twice.
    await new Load({
      url,
      writeKey: writeKeys.web as string,
      ledger: kept,
      random: Math.random,
      rate: 1,
      run: 'again',
    }).again(after);
    await quiescence.reached('what was sent again to have all its effects');
    expect(wrong(await found(ledger))).toEqual([]);
    const twice = [...timesOf(await mailsIn(mailboxHttp))].filter(([, n]) => n > 1).map(([to]) => to);
    console.log(
      `${ledger.acknowledged.size} events acknowledged, ${before.size} before the backup; ${after.length} are after its end. ` +
        `${signedUp([...kept.acknowledged.values()]).length} in the backup have their mail once; of ${signedUp(after).length} after it ` +
        `${mailedSince.length} had theirs, and ${twice.length} have it twice once the events were sent again`,
    );
    expect(twice.filter((to) => !mailedSince.includes(to))).toEqual([]);
  } finally {
    await quiescence.close();
    closeApi(api);
    await fresh.stop();
    await provider.stop();
  }
}, 300_000);

/** Returns message ids acknowledged before the backup began. */
async function liveAndDie(cluster: Cluster, ledger: Ledger, folder: string): Promise<Set<string>> {
  const { ingestHttp: url, writeKeys, natsUrl, redisUrl, clickhouseHttp, apiToken } = cluster.endpoints;
  const api = connectApi(cluster.endpoints);
  const quiescence = new Quiescence(cluster);
  const load = new Load({
    url,
    writeKey: writeKeys.web as string,
    ledger,
    random: Math.random,
    rate: RATE,
    run: 'old',
  });
  try {
    const rule = Rule.fromPartial({ orders: { count: { atLeast: 1 } } });
    await api.segmentation.createSegment({ segment: Segment.fromPartial({ id: SEGMENT, rule }), requestId: SEGMENT });
    await createTemplate(api, 'signed_up', 'Welcome');
    await startJourney(api, SIGNED_UP);
    await quiescence.defined({ segmentation: 1, journey: 1, messaging: 1 });
    load.start();
    await sleep(10_000);
    const before = new Set(ledger.acknowledged.keys());
    const secretsDir = join(cluster.dir, 'secrets');
    const source = {
      natsUrl,
      redisUrl,
      sql: { url: clickhouseHttp, user: 'recur', token: apiToken },
      timeZone: 'UTC',
      secretsDir,
    };
    await backUp(folder, source, true, console.log);
    await sleep(4_000);
    await load.stop();
    return before;
  } finally {
    await quiescence.close();
    closeApi(api);
    await Promise.all(cluster.processes.map((child) => child.kill9()));
    await cluster.stop();
  }
}

async function restoreInto(dir: string, folder: string): Promise<void> {
  const manifest = await checkedManifest(folder);
  expect(manifest.cut).toBeDefined();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  cpSync(join(folder, 'secrets'), join(dir, 'secrets'), { recursive: true });
  const stores = await startCluster({ dir, partitions: PARTITIONS, only: ['nats', 'redis'], ports: 'private' });
  try {
    const { natsUrl, redisUrl } = stores.endpoints;
    const target = { natsUrl, redisUrl, analyticsDir: join(dir, 'analytics'), replicas: undefined };
    await restore(folder, manifest, target, console.log);
  } finally {
    await stores.stop();
  }
}

function ledgerOf(events: readonly Sent[]): Ledger {
  const ledger = new Ledger();
  ledger.acknowledge(events);
  return ledger;
}

function timesOf(mails: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const mail of mails) {
    const [to = ''] = mail.split(' ');
    times.set(to, (times.get(to) ?? 0) + 1);
  }
  return times;
}
