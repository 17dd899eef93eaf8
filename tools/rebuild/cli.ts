// npm run rebuild -- <service>: runs the service's own rebuild with the environment of the local cluster, or of ours.
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { WIRING } from '#lib/topology/topology.ts';
import { openCluster } from '#tools/cluster/start.ts';
import { nothingRuns } from '#tools/operations/called.ts';
import { ROOT } from '#tools/servers/node.ts';

const SERVICES = ['identity', ...Object.keys(WIRING)];

const HELP = `npm run rebuild -- <${SERVICES.join('|')}> [options]

Against the local cluster (--data DIR, default .data/local, or RECUR_DATA), or the one NATS_URL and REDIS_URL name: on Kubernetes
through kubectl port-forward, with SHOP_TIME_ZONE as the services have it.
`;

function main(): void {
  const [service = '', ...rest] = process.argv.slice(2);
  if (!SERVICES.includes(service)) {
    const asked = ['--help', '-h'].includes(service);
    console.log(
      asked || service === ''
        ? HELP
        : `There is no state of ${service} to rebuild: name one of ${SERVICES.join(', ')}.`,
    );
    process.exit(asked ? 0 : 2);
  }
  const at = rest.indexOf('--data');
  const given = at < 0 ? undefined : rest.splice(at, 2)[1];
  const child = spawn(process.execPath, [join(ROOT, 'services', service, 'src/rebuild.ts'), ...rest], {
    env: { ...process.env, ...(rest.includes('--help') ? {} : surroundings(given)) },
    stdio: 'inherit',
  });
  child.on('exit', (code) => process.exit(code ?? 1));
  if (rest.includes('--help')) child.on('spawn', () => console.log(HELP));
}

function surroundings(given: string | undefined): Record<string, string> {
  if (given === undefined && process.env.NATS_URL && process.env.REDIS_URL) return {};
  const dir = resolve(given ?? (process.env.RECUR_DATA || join(ROOT, '.data', 'local')));
  const cluster = openCluster(dir);
  if (cluster === undefined) {
    console.error(nothingRuns(dir));
    process.exit(2);
  }
  const { natsUrl, redisUrl } = cluster.endpoints;
  return { NATS_URL: natsUrl, REDIS_URL: redisUrl, SHOP_TIME_ZONE: cluster.settings.timeZone };
}

main();
