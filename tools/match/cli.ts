import { match } from '#lib/matching/match.ts';
import { openCluster } from '#tools/cluster/start.ts';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { type Customers, readCustomers } from './customers.ts';
import { writeLists } from './lists.ts';
import { type Options, readOptions } from './options.ts';
import { Progress } from './progress.ts';
import { proposeAll } from './propose.ts';
import { type Found, foundIn, ResultFile, runOf } from './result-file.ts';
import { shopCustomers } from './shop-customers.ts';

const HELP = `npm run match -- <customers.csv[.gz]> [options]
npm run match -- --shop [options]

Finds customers who are one person though names, addresses, dates of birth or phones have typing errors, in English and Chinese.
Weights and threshold come from the customers themselves. Writes accepted.csv, review.csv (and .json) and groups.csv; with
--propose identity gets them as matches, for a person to accept or reject; with --accept those above the threshold are merged.
Interrupted, the next run goes on where it was; repeating it changes nothing. An accepted merge can be taken back (Unmerge).

  --shop               the customers of the shop instead of a file: their traits, as a token with scope profile.pii sees them
  --id COLUMN=TYPE     which column names a customer in Recur: customer_no=user_id, mobile=phone. Several: the first known counts
  --field COLUMN=KIND[:ROLE[:EXCHANGE]]
                       how to compare a column whose name does not say it. KIND: name, text, code, date. ROLE: person (tells a
                       person), family (a surname), household (address, phone; when left out). Two with the same EXCHANGE are
                       sometimes filled the wrong way round
  --ignore COLUMN      do not compare this one
  --delimiter C        of the file                                                         (default ,)
  --precision P        share of the accepted pairs that must be right, as the model sees it (default 0.999)
  --review-from P      pairs at least this likely are for a person to look at               (default 0.05)
  --values             the lists show what is compared, side by side: personal data, keep them safe
  --propose            tell identity
  --accept             tell identity, and accept those above the threshold
  --again              compare again although nothing changed
  --out DIR            where lists and progress are kept   (default .data/match)
  --data DIR           data folder of the local cluster    (default .data/local, or RECUR_DATA)
  --quiet              no progress
  --help

Columns known by their names: name, given_name, surname, date_of_birth, email, phone, street_number, address_1, address_2, suburb,
city, postcode, state, 姓名, 手机号, 生日, 邮箱, 省份, 城市, 详细地址 and the like. More: tools/match/README.md`;

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  const progress = new Progress(options.quiet);
  const api = options.file === undefined || options.propose ? connected(options) : undefined;
  try {
    const customers =
      options.file === undefined && api
        ? await shopCustomers(api.clients, api.clickhouse, options, (done, of) =>
            progress.update('customers', done, of),
          )
        : await readCustomers(options.file as string, options);
    const file = new ResultFile(options.out);
    const found = matched(customers, options, file, progress);
    const lists = writeLists(options.out, found, customers, options.values);
    print(found, customers, lists);
    if (options.propose && api) {
      const told = (done: number, of: number) => progress.update(options.accept ? 'accepting' : 'proposing', done, of);
      const save = (state: Found) => file.save(state);
      const { unknown, same, open, accepted, refused, rejected } = await proposeAll(
        api.clients,
        found,
        customers,
        options.accept,
        save,
        told,
      );
      progress.end();
      console.log(
        `identity: ${open} open, ${accepted} merged, ${refused} refused by a limit, ${rejected} rejected before; ` +
          `${same} were one already, ${unknown} are not known there.`,
      );
    }
    return 0;
  } finally {
    progress.end();
    if (api) closeApi(api.clients);
  }
}

function matched(customers: Customers, options: Options, file: ResultFile, progress: Progress): Found {
  const run = runOf(customers, options.settings);
  const before = options.again ? undefined : file.read(run);
  if (before) return before;
  const { precision, reviewFrom } = options;
  const told = (step: string, done: number, of: number) => progress.update(step, done, of);
  const found = foundIn(
    run,
    customers.rows.length,
    match(customers.specs, customers.rows, { precision, reviewFrom, progress: told }),
  );
  progress.end();
  file.save(found);
  return found;
}

function print(found: Found, { specs }: Customers, lists: readonly string[]): void {
  const { threshold } = found;
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  console.log(
    [
      `${found.customers} customers compared by ${specs.map((s) => s.name).join(', ')}: ${found.candidates} pairs looked at.`,
      `${found.persons} persons; ${found.accepted.length} matches accepted from a probability of ${threshold.probability.toFixed(4)} on, ` +
        `${found.review.length} to be looked at.`,
      `By the model itself ${percent(threshold.precision)} of the accepted pairs are right, and ${percent(threshold.recall)} of all are among them.`,
      ...lists.map((path) => `  ${path}`),
    ].join('\n'),
  );
}

function connected({ data }: Options) {
  const dir = data ?? process.env.RECUR_DATA ?? '.data/local';
  const cluster = openCluster(dir);
  if (!cluster)
    throw new Error(`no cluster runs in ${dir}. Start one with "npm run up", or name its folder with --data.`);
  const { endpoints } = cluster;
  return { clients: connectApi(endpoints), clickhouse: endpoints.clickhouseHttp };
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const plain = error instanceof Error && !(error instanceof TypeError);
    console.error(plain ? `match: ${error.message}` : error);
    process.exitCode = 1;
  },
);
