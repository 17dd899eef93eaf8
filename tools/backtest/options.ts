import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Temporal } from 'temporal-polyfill';
import { ROOT } from '#tools/servers/node.ts';

export const HELP = `npm run backtest -- <journey …> --from DATE [--to DATE] [options]

Plays the shop's stored history through the services' own code, in this process, with these journeys on: who would have entered,
waited, received, and what quiet hours, frequency caps and consents would have held back. Nothing is sent and nothing changes.

  <journey …>      files (YAML), folders of them, or ids of journeys the shop has (drafts too). Segments, templates, computed traits
                   and tags in folders beside a file (segments/, templates/ …) count where the shop has none of that name
  --from DATE      the journeys are on from here: 2026-03-01, in the shop's time zone, or a moment 2026-03-01T00:00:00Z
  --to DATE        up to here, not included                                    (default: the last event)
  --compare PATH   a second version, played beside the first: a file, a folder or an id; may be given again
  --alone          without the other journeys that are on in the shop; with them caps count as they would
  --share N        only this part of the customers, from 0.001 to 1            (default 1)
  --by UNIT        rows of the table: day, week or month                       (default: by the length)
  --messages FILE  every decision on a message, a line of JSON each
  --json           the result as JSON on stdout
  --data DIR       of the local cluster                                        (default .data/local, or RECUR_DATA)
  --nats URL, --sql URL, --user NAME, --token TOKEN, --time-zone ZONE
                   another cluster: NATS_URL, SQL_URL, RECUR_SQL_USER, RECUR_SQL_TOKEN, SHOP_TIME_ZONE

History is of ClickHouse: customers as they are known today (merged ones are one from the start), each event at the moment it
happened. Personal values are not there, so whoever ever gave an address can be reached until a bounce or a withdrawal.`;

export class UsageError extends Error {}

export const UNITS = ['day', 'week', 'month'] as const;
export type Unit = (typeof UNITS)[number];

export interface Options {
  readonly help: boolean;
  readonly journeys: readonly string[];
  readonly compare: readonly string[];
  readonly from: string;
  readonly to: string | undefined;
  readonly alone: boolean;
  readonly share: number;
  readonly by: Unit | undefined;
  readonly messages: string | undefined;
  readonly json: boolean;
  readonly data: string;
  readonly nats: string | undefined;
  readonly sql: string | undefined;
  readonly user: string;
  readonly token: string;
  readonly timeZone: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws UsageError */
export function readOptions(args: readonly string[], env: Env): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parsed(() =>
    parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...{ from: text, to: text, share: text, by: text, messages: text, data: text, nats: text, sql: text },
        ...{ user: text, token: text, 'time-zone': text, alone: flag, json: flag, help: flag },
        compare: { type: 'string', multiple: true },
      },
    }),
  );
  const { help, from, by } = values;
  const share = Number(values.share ?? 1);
  if (!help) {
    if (positionals.length === 0) throw new UsageError('Which journey? Name a file, a folder or an id.');
    if (from === undefined) throw new UsageError('--from is missing: the day from which the journeys are on.');
    if (!(share >= 0.001 && share <= 1)) throw new UsageError(`--share: ${values.share} must be from 0.001 to 1.`);
    if (by !== undefined && !isUnit(by)) throw new UsageError(`--by: ${by} must be one of ${UNITS.join(', ')}.`);
  }
  return {
    ...{ help, journeys: positionals, compare: values.compare ?? [], from: from ?? '', to: values.to, share },
    ...{ alone: values.alone, messages: values.messages, json: values.json, by: by as Unit | undefined },
    data: resolve(values.data ?? (env.RECUR_DATA || join(ROOT, '.data', 'local'))),
    nats: values.nats ?? (env.NATS_URL || undefined),
    sql: values.sql ?? (env.SQL_URL || undefined),
    user: values.user ?? (env.RECUR_SQL_USER || 'analyst'),
    token: values.token ?? env.RECUR_SQL_TOKEN ?? '',
    timeZone: values['time-zone'] ?? (env.SHOP_TIME_ZONE || undefined),
  };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const isUnit = (text: string): text is Unit => (UNITS as readonly string[]).includes(text);

/** A day of the shop, its first moment; or a moment with its offset. @throws UsageError */
export function momentOf(name: string, text: string, timeZone: string): number {
  const day = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  const ms = day ? startOfDay(text, timeZone) : /[Zz]|[+-]\d{2}:?\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new UsageError(`--${name}: ${text} must be a day like 2026-03-01, or a moment like 2026-03-01T00:00:00Z.`);
  }
  return ms;
}

function startOfDay(text: string, timeZone: string): number {
  try {
    return Temporal.PlainDate.from(text).toZonedDateTime(timeZone).epochMilliseconds;
  } catch {
    return Number.NaN;
  }
}
