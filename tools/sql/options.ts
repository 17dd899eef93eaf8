import { parseArgs } from 'node:util';
import { formatNamed, SHORT_FORMATS } from './formats.ts';

export const HELP = `npm run sql -- [query] [options]

Asks the ClickHouse HTTP endpoint of the local cluster, or another one. Without a query: a prompt (or what comes on stdin).

  npm run sql                                            a prompt; statements end with ;
  npm run sql -- "SELECT * FROM v_health"
  npm run sql -- -f query.sql --param days=30 --format csv
  npm run sql -- "SELECT * FROM v_customers" --export customers.parquet
  npm run sql -- --cookbook                              questions with their queries; --cookbook 7 asks the seventh

  -f, --file FILE      the query is in a file (- is stdin)
  --param NAME=VALUE   value of a {NAME:Type} in the query (may be given several times)
  --format NAME        ${SHORT_FORMATS},
                       or a name ClickHouse knows            (default: table on a terminal, else tsv with names)
  --export FILE        writes the result to FILE.parquet, .csv, .tsv, .jsonl, .arrow (.csv.gz, .tsv.gz, .jsonl.gz):
                       up to 50 million rows or 4 GB, with progress
  --force              replaces a file that exists
  --cookbook [N|WORD]  lists the questions of the cookbook, those with a word in it, or asks question N
  --url URL            endpoint                              (default: the local cluster started by npm run up, or RECUR_SQL_URL)
  --user NAME          for a ClickHouse server               (default: analyst)
  --token TOKEN        API token, or a user's password       (default: RECUR_SQL_TOKEN; none is needed on the machine itself)
  --data DIR           data folder of the local cluster      (default: .data/local, or RECUR_DATA)
  -h, --help           this text

Only reading is possible; a query has 30 s, 1 GB of memory and a million rows. An error ends with exit code 1, a wrong option with 2.`;

export class UsageError extends Error {}

export interface SqlOptions {
  readonly help: boolean;
  readonly query: string | undefined;
  readonly file: string | undefined;
  readonly params: Readonly<Record<string, string>>;
  /** ClickHouse's name; undefined: as suits where it goes. */
  readonly format: string | undefined;
  readonly exportFile: string | undefined;
  readonly force: boolean;
  /** Undefined: not asked for; '' lists. */
  readonly cookbook: string | undefined;
  readonly url: string | undefined;
  readonly user: string;
  readonly token: string;
  readonly data: string;
}

/** @throws UsageError naming the option and the rule */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): SqlOptions {
  const { values, positionals } = parse(args);
  const cookbook = values.cookbook ? positionals.join(' ') : undefined;
  if (cookbook === undefined && positionals.length > 1)
    throw new UsageError(
      `One query at a time, in quotes; not ${positionals.length} pieces: ${positionals.join(' | ')}`,
    );
  const query = cookbook === undefined ? positionals[0] : undefined;
  if (query !== undefined && values.file !== undefined)
    throw new UsageError('--file: give a query or a file, not both');
  if (values.export !== undefined && values.format !== undefined)
    throw new UsageError('--format: with --export the ending of the file says the format');
  const url = values.url ?? (env.RECUR_SQL_URL || undefined);
  if (url !== undefined && !(URL.canParse(url) && /^https?:/.test(url)))
    throw new UsageError(`--url: ${url} must be http://… or https://…`);
  return {
    help: values.help ?? false,
    query,
    file: values.file,
    params: Object.fromEntries((values.param ?? []).map(parameter)),
    format: values.format === undefined ? undefined : named(values.format),
    exportFile: values.export,
    force: values.force ?? false,
    cookbook,
    url,
    user: values.user ?? 'analyst',
    token: values.token ?? env.RECUR_SQL_TOKEN ?? '',
    data: values.data ?? (env.RECUR_DATA || '.data/local'),
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...{
          file: { ...text, short: 'f' },
          param: { ...text, multiple: true },
          format: text,
          export: text,
          force: flag,
          cookbook: flag,
        },
        ...{ url: text, user: text, token: text, data: text, help: { ...flag, short: 'h' } },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}. Try --help.`);
  }
}

function parameter(text: string): [string, string] {
  const [, name, value] = /^([A-Za-z_]\w{0,63})=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`--param: ${text} must be NAME=VALUE`);
  return [name, value];
}

function named(format: string): string {
  try {
    return formatNamed(format);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
