import { aa } from './aa.ts';
import { backfill } from './backfill.ts';
import { broadcast } from './broadcast.ts';
import { e2e } from './e2e.ts';
import { ingest } from './ingest.ts';
import { latency } from './latency.ts';
import { matching } from './matching.ts';
import { memory } from './memory.ts';
import { merges } from './merges.ts';
import { messageIds } from './message-ids.ts';
import { type BenchOptions, readCommand } from './options.ts';
import { profileReads } from './profile-reads.ts';
import { queries } from './queries.ts';
import { type BenchResult, resultLine } from './result.ts';
import { scaleOut } from './scale-out.ts';
import { segments } from './segments.ts';
import { sends } from './sends.ts';
import { sink } from './sink.ts';
import { start } from './start.ts';
import { timers } from './timers.ts';
import { tracing } from './tracing.ts';
import { windows } from './windows.ts';

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<BenchResult>>> = {
  ingest,
  e2e,
  latency,
  sink,
  queries,
  'message-ids': messageIds,
  matching,
  segments,
  windows,
  backfill,
  memory,
  'profile-reads': profileReads,
  aa,
  merges,
  'scale-out': scaleOut,
  timers,
  sends,
  broadcast,
  tracing,
  start,
};

const HELP = `npm run bench -- <name> [options]

Starts what it measures on private ports in a temporary folder, and measures it against a bare loop in the same run. The last
line is the result as JSON. What each bench does, and what its bare loop does, is in tools/bench/README.md.

  ingest     events/s ingest takes: gRPC in batches and one by one, HTTP in batches
  e2e        events/s that arrive in every store, with 50 segments and 5 journeys
  latency    from an accepted event to the mail it causes, at 1,000 events/s
  sink       rows/s from log frames into ClickHouse
  segments   CPU of segmentation per event with 10, 100, 1,000 and 10,000 segments
  windows    how late customers leave a segment by time alone: a million of them (some 5 minutes), exits one by one and at once
  queries    each query of the Grafana dashboards over 50 million events (some 5 GB in the temporary folder, several minutes)
  message-ids  bytes of Redis an id takes that is remembered for a day or two
  matching   customers/s compared with all others for typing errors, and how many are found
  backfill   seconds until a new computed trait is filled from stored events and live, while events flow
  memory     bytes of Redis a profile takes with 20 traits and 10 windows
  profile-reads  p99 of GetProfile at 2,000 calls/s while events flow
  aa         false positives of the tests of experiments, on real customers nobody treated
  tracing    CPU an event costs with tracing on, over off
  merges     events/s of a storm in which every event joins two customers, and whether all is right afterwards
  timers     a million customers who wait in a journey: how late their waits end, bytes each, restart
  sends      messaging's decisions/s against a bare program with four Redis round trips each
  broadcast  a text message to a segment of 100,000: how many a second reach the provider, each once
  scale-out  longest pause of a partition while profile and segmentation go 1, 3, 1 under load; CPU of one and three warm ones
  start      seconds until a cluster is ready, and CPU each of its processes takes until then

  --events N        how many events (e2e, sink, queries, backfill), ids (message-ids), A/A tests (aa),
                    customers (matching, windows), profiles (memory: 1 amount instead of 3), merges (merges),
                    waits (timers), decisions a round (sends),
                    people of the segment (broadcast)
  --people N        customers of the sample shop (e2e)          (default 12000: 300,000 events are about their six months)
  --rounds N        ours and bare take turns so often           (ingest, e2e, matching, sends); how often each query is asked (queries)
  --seconds N       length of a turn (ingest), of the load (latency), of the time windows end in (windows), of a part (scale-out), of a wait (timers)
  --partitions N    of the cluster                              (default 4)
  --without A,B     services that are not to run, e.g. analytics (e2e, latency)
  --no-bare         only ours, no ratio                         (ingest, e2e, matching)
  --cpu-prof DIR    takes CPU profiles of the services, and shows where their time went
                    (the profiles stay in DIR; node tools/bench/profile.ts DIR shows them again)
  --node-options X  for the Node of every service, e.g. --max-semi-space-size=64
  --help`;

async function main(): Promise<number> {
  const { name, help, options } = readCommand(process.argv.slice(2));
  const bench = BENCHES[name ?? ''];
  if (help || bench === undefined) {
    console.log(HELP);
    return help ? 0 : 2;
  }
  console.log(resultLine(await bench(options)));
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
