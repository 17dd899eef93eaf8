import { parseArgs } from 'node:util';
import { clusterTarget } from './cluster-target.ts';
import { importFile } from './import-file.ts';
import { MappingError } from './mapping.ts';
import { Progress } from './progress.ts';

const HELP = `npm run import -- <mapping.yaml> <file.csv[.gz]> [options]

Reads a CSV file, makes standard events of its rows as the mapping says, and sends them through the public HTTP API, in the
order of the file. Interrupted, the next run goes on where it was; what it sends a second time carries the same message ids and
is not counted again. A file that was imported is not sent again. Rows that cannot be used go, with line and
reason, to <file>.bad.csv in the working folder.

  --url URL          ingest, e.g. http://127.0.0.1:8080   (default: the local cluster started by npm run up)
  --write-key KEY    of the source the events belong to   (default: the local cluster's)
  --data DIR         data folder of the local cluster     (default: .data/local, or RECUR_DATA)
  --batch N          events a request, 1 to 1000          (default 200)
  --from-start       forget how far an earlier run came
  --work DIR         where progress and bad rows are kept (default: .data/import)
  --quiet            no progress
  --help

Mappings: tools/importer/README.md; ready ones in tools/importer/mappings/.`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      'write-key': { type: 'string' },
      data: { type: 'string' },
      batch: { type: 'string', default: '200' },
      'from-start': { type: 'boolean', default: false },
      work: { type: 'string', default: '.data/import' },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [mappingFile, file, ...rest] = positionals;
  if (values.help || !mappingFile || !file || rest.length > 0) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const batch = Number(values.batch);
  if (!Number.isInteger(batch) || batch < 1 || batch > 1000)
    throw new Error(`--batch: ${values.batch} must be 1 to 1000`);
  const local = values.url && values['write-key'] ? undefined : await clusterTarget(values.data);
  const target = { url: values.url ?? local?.url ?? '', writeKey: values['write-key'] ?? local?.writeKey ?? '' };
  const progress = new Progress(values.quiet);
  const result = await importFile(
    { mappingFile, file, target, batch, workDir: values.work, fromStart: values['from-start'] },
    progress,
  );
  progress.end();
  if (result.wasComplete) {
    console.log('An earlier run imported all of this file with this mapping. --from-start sends it again.');
    return 0;
  }
  console.log(
    `${result.events} events sent from ${result.rows} rows in ${(result.ms / 1000).toFixed(1)} s` +
      ` (${result.skipped} rows no mapping applies to, ${result.bad} bad).`,
  );
  if (result.resumedAt > 0) console.log(`Went on at line ${result.resumedAt}.`);
  if (result.bad > 0) console.log(`Bad rows, with the reason: ${result.badFile}`);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const plain = error instanceof MappingError || (error instanceof Error && !error.stack?.includes('TypeError'));
    console.error(plain ? `import: ${(error as Error).message}` : error);
    process.exitCode = 1;
  },
);
