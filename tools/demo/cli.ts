import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { openCluster, startCluster } from '#tools/cluster/start.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { loadLibrary } from '#tools/library/load.ts';
import { until } from '#tools/library/progress.ts';
import { SampleShop } from '#tools/sample-shop/shop.ts';
import { play } from './play.ts';
import { printReport } from './print.ts';
import { collectReport, type Report, reportJson } from './report.ts';
import { subjectReader } from './subjects.ts';

const HELP = `npm run demo -- [options]

Starts a cluster of its own (NATS, Redis, ClickHouse, a mailbox, seven services), plays six months of a sample shop through it
on the event clock with three journeys on (welcome, day 14 after the first order, win-back after 90 days), and shows what a
shop owner wants to see. The people of the shop react to the mails they get. Everything is stopped at the end.

  --people N     people of the shop       (default 3000)
  --days N       days of its life         (default 184)
  --seed N       another shop             (default 1)
  --data DIR     data folder, emptied     (default .data/demo)
  --keep         leave the cluster running, to look around
  --json         the report as JSON on stdout, nothing else
  --help`;

/** The first day of the story: 1 May 2026 in Shanghai. */
const START_MS = Date.parse('2026-05-01T00:00:00+08:00');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      people: { type: 'string', default: '3000' },
      days: { type: 'string', default: '184' },
      seed: { type: 'string', default: '1' },
      data: { type: 'string', default: '.data/demo' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const [people, days, seed] = (['people', 'days', 'seed'] as const).map((name) => whole(name, values[name]));
  const say = values.json ? () => {} : (text: string) => console.error(text);
  const dir = resolve(values.data);
  await startFresh(dir);
  say('Starting NATS, Redis, the mailbox and seven services …');
  const cluster = await startCluster({
    dir,
    clock: 'event',
    timeZone: 'Asia/Shanghai',
    ports: 'preferred',
    detached: values.keep,
    serviceEnv: {},
    progress: (line) => say(`  ${line}`),
  });
  try {
    const shop = new SampleShop({ seed: seed ?? 1, people: people ?? 3000, startMs: START_MS, days: days ?? 184 });
    const report = await tellStory(cluster, shop, say);
    if (values.json) console.log(reportJson(report));
    else printReport(report, { endpoints: cluster.endpoints, kept: values.keep, data: values.data });
  } catch (error) {
    if (values.keep) console.error(`The cluster still runs. Stop it: npm run down -- --data ${values.data}`);
    throw error;
  } finally {
    if (!values.keep) await cluster.stop();
  }
}

async function tellStory(cluster: Cluster, shop: SampleShop, say: (text: string) => void): Promise<Report> {
  const { endpoints } = cluster;
  const api = connectApi(endpoints);
  try {
    const { settings } = await api.messaging.getMessagingSettings({});
    if (settings) {
      const named = { ...settings, shopName: 'Sample Shop', senderName: 'Sample Shop' };
      await api.messaging.updateMessagingSettings({ settings: named, requestId: 'demo-settings' });
    }
    const { journeys } = await loadLibrary(api);
    say(`Journeys on: ${journeys.join(', ')}. Playing ${shop.options.days} days of ${shop.options.people} people …`);
    const started = Date.now();
    const stage = {
      api,
      shop,
      messagingHttp: endpoints.httpOf('messaging'),
      mailboxHttp: endpoints.mailboxHttp,
      partitions: cluster.settings.partitions,
      templateOf: subjectReader(),
    };
    const played = await play(stage, (day, { events, messages }) => {
      if ((day + 1) % 23 === 0) say(`  day ${day + 1}: ${events} events, ${messages} mails`);
    });
    const seconds = (Date.now() - started) / 1000;
    await until('everything to be in ClickHouse', () => caughtUp(api, endpoints.natsMonitorUrl));
    return await collectReport({ api, endpoints, people: shop.options.people, played, seconds });
  } finally {
    closeApi(api);
  }
}

/** ClickHouse holds all of the log. */
async function caughtUp(api: ReturnType<typeof connectApi>, monitorUrl: string): Promise<boolean> {
  const jsz = (await (await fetch(`${monitorUrl}/jsz?streams=true`)).json()) as JetStreamInfo;
  const streams = jsz.account_details?.flatMap((a) => a.stream_detail ?? []) ?? [];
  const last = streams.find((s) => s.name === 'LOG')?.state.last_seq ?? Number.POSITIVE_INFINITY;
  return (await api.analytics.getSinkOffset({})).throughSeq >= last;
}

interface JetStreamInfo {
  readonly account_details?: { readonly stream_detail?: { name: string; state: { last_seq: number } }[] }[];
}

/** A demo begins with nothing: an earlier one that was kept is ended and its folder emptied. Other folders are not touched. */
async function startFresh(dir: string): Promise<void> {
  if (!existsSync(dir) || readdirSync(dir).length === 0) return;
  if (!existsSync(join(dir, 'settings.json')))
    throw new Error(`--data: ${dir} is not the folder of a cluster; name one that is, or an empty or new one`);
  await openCluster(dir)?.stop();
  rmSync(dir, { recursive: true, force: true });
}

function whole(name: string, text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 10_000_000)
    throw new Error(`--${name}: ${text} must be a whole number from 1 to 10,000,000`);
  return n;
}

main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
