import { parseArgs } from 'node:util';
import { openCluster } from '#tools/cluster/start.ts';
import { apiToken, called, nothingRuns } from '#tools/operations/called.ts';
import { closeApi, connectLibrary, type LibraryAddresses } from './api.ts';
import { LIBRARY, loadLibrary } from './load.ts';

const HELP = `${called('library')} [folder] [options]

Creates the computed traits (computed_traits/*.yaml), tags (tags/*.yaml), segments (segments/*.yaml), templates
(templates/*.yaml) and journeys (*.yaml) of a folder in the local cluster, and starts the journeys. What is there already stays
as it is. Without a folder: the journeys that come with Recur (services/journey/library: welcome, day14, winback90). The tags
that come with it: ${called('library')} services/profile/library. Journeys about orders (cart_abandoned, post_purchase_care,
replenishment, referral, live_room_recall): ${called('library')} services/journey/library/orders

  --data DIR   data folder of the local cluster (default: .data/local, or RECUR_DATA)
  --help

Another cluster by environment: PROFILE_ADDR, SEGMENTATION_ADDR, MESSAGING_ADDR, JOURNEY_ADDR (host:port of gRPC), with API_TOKEN or
API_TOKENS_FILE.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { data: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(HELP);
  const api = connectLibrary(addressesIn(process.env, values.data));
  try {
    const loaded = await loadLibrary(api, positionals[0] ?? LIBRARY);
    for (const [name, ids] of [
      ['computed traits', loaded.computedTraits],
      ['tags', loaded.tags],
      ['segments', loaded.segments],
      ['templates', loaded.templates],
      ['journeys', loaded.journeys],
    ] as const) {
      if (ids.length > 0) console.log(`${name.padEnd(16)}${ids.join(', ')}${name === 'journeys' ? ' (started)' : ''}`);
    }
  } finally {
    closeApi(api);
  }
}

function addressesIn(env: NodeJS.ProcessEnv, data: string | undefined): LibraryAddresses {
  const {
    PROFILE_ADDR: profile,
    SEGMENTATION_ADDR: segmentation,
    MESSAGING_ADDR: messaging,
    JOURNEY_ADDR: journey,
  } = env;
  if (data === undefined && profile && segmentation && messaging && journey)
    return { grpc: { profile, segmentation, messaging, journey }, apiToken: apiToken(env) };
  const dir = data ?? env.RECUR_DATA ?? '.data/local';
  const cluster = openCluster(dir);
  if (!cluster) throw new Error(nothingRuns(dir, 'PROFILE_ADDR, SEGMENTATION_ADDR, MESSAGING_ADDR and JOURNEY_ADDR'));
  return cluster.endpoints;
}

main().catch((error: unknown) => {
  console.error(`library: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
