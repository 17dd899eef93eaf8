import type { JetStreamManager } from '@nats-io/jetstream';
import { Redis } from 'ioredis';
import { STREAMS } from '#lib/topology/topology.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { metricsOf, metricValues } from '#tools/library/progress.ts';

/** Figures about a whole run that say why it cost what it cost. */
export interface Insight {
  /** What the sink wrote, by table. */
  readonly inserts: Readonly<Record<string, { rows: number; inserts: number; seconds: number }>>;
  /** Frames of LOG by kind: the fewer for the same events, the less each event pays for its frame. */
  readonly frames: Readonly<Record<string, number>>;
  /** What Redis spent on its commands: calls, and µs of its one thread. Those within a function count twice. */
  readonly redis: Readonly<Record<string, { calls: number; us: number }>>;
  readonly mails: number;
}

export async function insightInto(cluster: Cluster, jsm: JetStreamManager): Promise<Insight> {
  const runs = (role: string) => cluster.members.some((member) => member.role === role);
  return {
    inserts: runs('analytics') ? insertsIn(await metricsOf(cluster.endpoints.httpOf('analytics'))) : {},
    frames: await framesOf(jsm),
    redis: await commandsOf(cluster.endpoints.redisUrl),
    mails: runs('mailbox') ? await mailsIn(cluster.endpoints.mailboxHttp) : 0,
  };
}

function insertsIn(metrics: string): Insight['inserts'] {
  const of = (metric: string, table: string) =>
    metricValues(metrics, metric).find(({ labels }) => labels.table === table)?.value ?? 0;
  const tables = metricValues(metrics, 'recur_sink_rows_total').map(({ labels }) => labels.table ?? '');
  return Object.fromEntries(
    tables.map((table) => [
      table,
      {
        rows: of('recur_sink_rows_total', table),
        inserts: of('recur_sink_insert_seconds_count', table),
        seconds: of('recur_sink_insert_seconds_sum', table),
      },
    ]),
  );
}

async function framesOf(jsm: JetStreamManager): Promise<Record<string, number>> {
  const frames: Record<string, number> = {};
  for (const name of [STREAMS.ingest.name, STREAMS.log.name]) {
    const { state } = await jsm.streams.info(name, { subjects_filter: '>' });
    for (const [subject, count] of Object.entries(state.subjects ?? {})) {
      const [first, , kind] = subject.split('.');
      const key = kind ?? first ?? '';
      frames[key] = (frames[key] ?? 0) + count;
    }
  }
  return frames;
}

async function commandsOf(url: string): Promise<Record<string, { calls: number; us: number }>> {
  const redis = new Redis(url);
  const text = await redis.info('commandstats');
  redis.disconnect();
  const lines = [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)];
  const all = lines.map(([, name = '', calls, us]) => [name, { calls: Number(calls), us: Number(us) }] as const);
  return Object.fromEntries(all.sort(([, a], [, b]) => b.us - a.us).slice(0, 12));
}

async function mailsIn(mailboxUrl: string): Promise<number> {
  const answer = await fetch(`${mailboxUrl}/api/v1/count`);
  return ((await answer.json()) as { count: number }).count;
}

export function insightText({ inserts, frames, redis, mails }: Insight, events: number): string {
  const list = (entries: [string, string][]) => entries.map(([name, text]) => `${name} ${text}`).join(', ');
  const rows = Object.values(inserts).reduce((sum, each) => sum + each.rows, 0);
  return [
    `Of the whole run, per event: ${(rows / events).toFixed(2)} rows; by table, rows in inserts: ` +
      list(Object.entries(inserts).map(([table, i]) => [table, `${i.rows} in ${i.inserts}`])),
    `Events per frame: ${list(Object.entries(frames).map(([kind, n]) => [kind, (events / n).toFixed(0)]))}`,
    `Redis µs per event: ${list(Object.entries(redis).map(([name, { us }]) => [name, (us / events).toFixed(2)]))}`,
    `${mails} mails`,
  ].join('\n');
}
