import { openCluster } from '#tools/cluster/start.ts';
import type { Target } from './send.ts';

/** Where the cluster of a data folder takes events. */
export async function clusterTarget(dataDir = process.env.RECUR_DATA ?? '.data/local'): Promise<Target> {
  const cluster = openCluster(dataDir);
  if (!cluster)
    throw new Error(`No cluster runs in ${dataDir}. Start one with "npm run up", or name --url and --write-key.`);
  return {
    url: cluster.endpoints.ingestHttp,
    writeKey: cluster.endpoints.writeKeys.import ?? cluster.endpoints.writeKey,
  };
}
