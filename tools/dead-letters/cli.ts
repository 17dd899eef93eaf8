import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { recordKindToJSON } from '#gen/recur/log/v1/frame.ts';
import { addressesOf } from '#lib/boot/nats.ts';
import { openCluster } from '#tools/cluster/start.ts';
import { called, nothingRuns } from '#tools/operations/called.ts';
import { ROOT } from '#tools/servers/node.ts';
import { DeadLetters, isStage, type Letter, obstacle } from './letters.ts';

const HELP = `${called('dead-letters')} <command> [options]

Records a stage could not process, kept with the reason while their partition went on.

  list   [--stage S]               what there is, oldest first
  replay <number …> | --all [--stage S]   gives them to their stage once more, for example after an upgrade; one that is refused
                                   again comes back as a new letter
  drop   <number …>                takes them out for good

  --data DIR    of the local cluster (default .data/local, or RECUR_DATA)
  --nats URL    another cluster: nats://user:password@host:4222 (or NATS_URL; on Kubernetes through kubectl port-forward svc/nats 4222)
  --json        a line of JSON for each
  --help

Exit code 0: done. 1: some could not be replayed. 2: bad options.`;

class UsageError extends Error {}

function readOptions() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { stage: text, data: text, nats: text, all: flag, json: flag, help: flag },
  });
  const [command = '', ...rest] = positionals;
  const numbers = rest.map((word) => {
    if (!/^[1-9]\d{0,14}$/.test(word)) throw new UsageError(`${word} is not the number of a letter.`);
    return Number(word);
  });
  const { stage } = values;
  if (stage !== undefined && !isStage(stage)) throw new UsageError(`--stage: there is no stage ${stage}.`);
  return { ...values, stage, command, numbers };
}

type Options = ReturnType<typeof readOptions>;

/** Where NATS is: given, or that of the local cluster. */
function natsUrl({ nats, data }: Options): string {
  const given = nats ?? process.env.NATS_URL;
  if (given !== undefined && given !== '') return given;
  const dir = resolve(data ?? (process.env.RECUR_DATA || join(ROOT, '.data', 'local')));
  const cluster = openCluster(dir);
  if (cluster === undefined) throw new UsageError(nothingRuns(dir, 'NATS_URL, or say --nats'));
  return cluster.endpoints.natsUrl;
}

async function main(): Promise<number> {
  const options = readOptions();
  const known = ['list', 'replay', 'drop'].includes(options.command);
  if (options.help || !known) {
    console.log(HELP);
    return options.help ? 0 : 2;
  }
  if (options.command !== 'list' && options.numbers.length === 0 && !options.all)
    throw new UsageError(
      `${options.command} which? Give their numbers${options.command === 'replay' ? ', or --all' : ''}.`,
    );
  const nats = await connect({ ...addressesOf(natsUrl(options)), name: 'dead-letters', timeout: 5_000 });
  try {
    const letters = await DeadLetters.open(nats);
    if (options.command === 'list') return await list(letters, options);
    if (options.command === 'drop') return await drop(letters, options);
    return await replay(letters, options);
  } finally {
    await nats.drain();
  }
}

async function list(letters: DeadLetters, { stage, json }: Options): Promise<number> {
  let count = 0;
  for await (const each of letters.list(stage)) {
    count++;
    console.log(json ? JSON.stringify(plain(each)) : lineOf(each));
  }
  if (!json)
    console.log(
      count === 0
        ? 'There are none.'
        : `\n${count} in all. Replay them with: ${called('dead-letters')} replay <number …>`,
    );
  return 0;
}

async function drop(letters: DeadLetters, { numbers }: Options): Promise<number> {
  for (const number of numbers) {
    if ((await letters.get(number)) === undefined) throw new UsageError(`There is no letter ${number}.`);
    await letters.drop(number);
    console.log(`${number} dropped`);
  }
  return 0;
}

async function replay(letters: DeadLetters, { numbers, all, stage, json }: Options): Promise<number> {
  const chosen: Letter[] = [];
  if (all) for await (const each of letters.list(stage)) chosen.push(each);
  for (const number of numbers) {
    const found = await letters.get(number);
    if (found === undefined) throw new UsageError(`There is no letter ${number}.`);
    chosen.push(found);
  }
  let failed = 0;
  for (const each of chosen) {
    const outcome = await letters.replay(each).catch((error: Error) => {
      failed++;
      return `not replayed: ${error.message}`;
    });
    console.log(json ? JSON.stringify({ number: each.number, outcome }) : `${each.number} ${outcome}`);
  }
  return failed > 0 ? 1 : 0;
}

/** Neither the customer's data nor what it weighs in the reason: the body stays where it is. */
function plain({ number, letter }: Letter): object {
  const { stage, partition, seq, index, reason, timeMs, record } = letter;
  return {
    number,
    stage,
    partition,
    seq,
    index,
    reason,
    time: new Date(timeMs).toISOString(),
    kind: record === undefined ? null : recordKindToJSON(record.kind),
    customer_id: record?.customerId ?? '',
    bytes: record?.body.length ?? 0,
    obstacle: obstacle(letter) ?? null,
  };
}

function lineOf({ number, letter }: Letter): string {
  const { stage, partition, seq, index, reason, timeMs, record } = letter;
  const kind = record === undefined ? 'timer' : recordKindToJSON(record.kind).replace('RECORD_KIND_', '').toLowerCase();
  const time = new Date(timeMs).toISOString();
  return `${String(number).padStart(6)}  ${time}  ${stage}.${partition} ${kind} at ${seq}/${index}  ${reason}`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
    console.error(usage ? `${(error as Error).message} Try --help.` : error);
    process.exit(usage ? 2 : 1);
  },
);
