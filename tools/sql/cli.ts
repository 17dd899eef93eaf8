import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { openCluster } from '#tools/cluster/start.ts';
import { ROOT } from '#tools/servers/node.ts';
import { type Recipe, readCookbook, recipesFor } from './cookbook.ts';
import { ask, type Endpoint, SqlError } from './endpoint.ts';
import { exportTo } from './export.ts';
import { isBinary } from './formats.ts';
import { HELP, readOptions, type SqlOptions, UsageError } from './options.ts';
import { runPrompt } from './prompt.ts';
import { splitStatements } from './statements.ts';

const terminal = process.stdout.isTTY === true;

function endpointOf({ url, user, token, data }: SqlOptions): Endpoint {
  if (url !== undefined) return { url, user, token };
  const cluster = openCluster(data);
  if (!cluster)
    throw new SqlError(
      `No cluster runs in ${data}`,
      undefined,
      'Start one with npm run up, or name an endpoint with --url.',
    );
  return { url: cluster.endpoints.clickhouseHttp, user, token };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return console.log(HELP);
  if (options.cookbook !== undefined) return cookbook(options, options.cookbook);
  const endpoint = endpointOf(options);
  const format = options.format ?? (terminal ? 'PrettyCompactMonoBlock' : 'TabSeparatedWithNames');
  const text = options.query ?? textIn(options);
  if (text === undefined) {
    const { stdin: input, stdout: output } = process;
    return runPrompt({
      endpoint,
      format,
      params: options.params,
      input,
      output,
      historyFile: join(ROOT, '.data/sql-history'),
    });
  }
  await answerAll(endpoint, text, format, options);
}

/** Undefined: a person types. */
function textIn({ file }: SqlOptions): string | undefined {
  if (file !== undefined && file !== '-') return readFileSync(file, 'utf8');
  if (file === '-' || !process.stdin.isTTY) return readFileSync(0, 'utf8');
  return undefined;
}

async function answerAll(endpoint: Endpoint, text: string, format: string, options: SqlOptions): Promise<void> {
  const { statements, rest } = splitStatements(text);
  const all = rest === '' ? statements : [...statements, rest];
  if (all.length === 0) throw new UsageError('There is no query. Try --help.');
  const { params, exportFile } = options;
  if (exportFile === undefined) {
    for (const sql of all) await print(endpoint, sql, format, params);
    return;
  }
  if (all.length > 1) throw new UsageError(`--export: one query goes into a file, not ${all.length}`);
  const progress = process.stderr.isTTY === true;
  const done = await exportTo(
    endpoint,
    { sql: all[0] as string, params },
    { file: exportFile, replace: options.force, progress },
  );
  console.error(`${exportFile}: ${(done.bytes / 1_048_576).toFixed(1)} MB in ${done.seconds.toFixed(1)} s`);
}

async function print(
  endpoint: Endpoint,
  sql: string,
  format: string,
  params: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await ask(endpoint, { sql, format, params });
  if (terminal && isBinary(answer.format))
    throw new UsageError(`${answer.format} is not for a terminal: write it to a file, --export result.parquet`);
  await pipeline(Readable.fromWeb(answer.body as ReadableStream), process.stdout, { end: false });
}

async function cookbook(options: SqlOptions, asked: string): Promise<void> {
  const recipes = recipesFor(readCookbook(), asked);
  if (asked === '' || recipes.length > 1) {
    for (const { number, title, chinese } of recipes)
      console.log(`${String(number).padStart(3)}  ${title}\n     ${chinese}`);
    return console.log('\nnpm run sql -- --cookbook 1 asks the first. The files: services/analytics/cookbook');
  }
  const [recipe] = recipes as [Recipe];
  console.error(`${recipe.title}\n${recipe.chinese}\n\n${recipe.explained}\n\n${recipe.sql}\n`);
  const format = options.format ?? (terminal ? 'PrettyCompactMonoBlock' : 'TabSeparatedWithNames');
  await answerAll(endpointOf(options), recipe.sql, format, {
    ...options,
    params: { ...recipe.defaults, ...options.params },
  });
}

/** `… | head` closes the pipe early, which is no error of ours. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

main().catch((error: unknown) => {
  if (error instanceof SqlError)
    console.error(
      `sql: ${error.message}${error.code === undefined ? '' : ` (${error.code})`}${error.hint === undefined ? '' : `\n→ ${error.hint}`}`,
    );
  else console.error(`sql: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
