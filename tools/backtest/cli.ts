import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { openCluster } from '#tools/cluster/start.ts';
import { Progress } from '#tools/match/progress.ts';
import { type Endpoint, SqlError } from '#tools/sql/endpoint.ts';
import { DefinitionError, definitionsOf, prepare } from './definitions.ts';
import { sizeOf } from './history.ts';
import { HELP, momentOf, type Options, readOptions, UsageError } from './options.ts';
import { printResult, unitFor } from './print.ts';
import { backtest } from './run.ts';

interface Where {
  readonly natsUrl: string;
  readonly endpoint: Endpoint;
  readonly timeZone: string;
}

/** The cluster that is named, else the local one. */
function whereIs({ nats, sql, user, token, timeZone, data }: Options): Where {
  if (nats !== undefined && sql !== undefined) {
    if (timeZone === undefined) throw new UsageError("--time-zone: the shop's, as its services have it.");
    return { natsUrl: nats, endpoint: { url: sql, user, token }, timeZone };
  }
  const cluster = openCluster(data);
  if (!cluster)
    throw new UsageError(`No cluster runs in ${data}. Start one with npm run up, or name one with --nats and --sql.`);
  const { natsUrl, clickhouseHttp } = cluster.endpoints;
  return { natsUrl, endpoint: { url: clickhouseHttp, user, token }, timeZone: cluster.settings.timeZone };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return console.log(HELP);
  const { natsUrl, endpoint, timeZone } = whereIs(options);
  const cluster = await definitionsOf(natsUrl);
  const { ids, inForce } = prepare(cluster, { journeys: options.journeys, alone: options.alone });
  const other =
    options.compare.length > 0 ? prepare(cluster, { journeys: options.compare, alone: options.alone }) : undefined;
  const size = await sizeOf(endpoint);
  const fromMs = momentOf('from', options.from, timeZone);
  const toMs = options.to === undefined ? size.lastMs : momentOf('to', options.to, timeZone) - 1;
  if (toMs <= fromMs)
    throw new UsageError(
      `--to: must be after --from and before the last event, ${new Date(size.lastMs).toISOString()}.`,
    );
  const progress = new Progress(false, 'backtest');
  const file = options.messages === undefined ? undefined : createWriteStream(options.messages);
  const started = Date.now();
  const result = await backtest({
    ...{ endpoint, size, timeZone, inForce, period: { fromMs, toMs }, share: options.share },
    ...(other && { other: other.inForce }),
    ...(file && { onMessage: (message) => file.write(`${JSON.stringify(message)}\n`) }),
    progress: (customers) => progress.update('customers', customers, Math.round(size.customers * options.share)),
  });
  progress.end();
  if (file) await finished(file.end());
  const seconds = (Date.now() - started) / 1000;
  if (options.json) return console.log(JSON.stringify({ fromMs, toMs, timeZone, seconds, journeys: ids, ...result }));
  console.log(
    `${result.customers} customers, ${result.events} records of history, ${seconds.toFixed(1)} s; ` +
      `${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`,
  );
  const unit = options.by ?? unitFor(fromMs, toMs);
  console.log(printResult(result, { ids, unit, compared: options.compare.join(', ') }));
}

main().catch((error: unknown) => {
  const known = error instanceof UsageError || error instanceof DefinitionError || error instanceof SqlError;
  const hint = error instanceof SqlError && error.hint !== undefined ? `\n→ ${error.hint}` : '';
  console.error(`backtest: ${known ? error.message : error instanceof Error ? error.stack : String(error)}${hint}`);
  process.exitCode = error instanceof UsageError || error instanceof DefinitionError ? 2 : 1;
});
