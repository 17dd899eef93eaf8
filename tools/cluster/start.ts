import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Progress } from '#tools/servers/binaries.ts';
import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { ensureRedis } from '#tools/servers/ensure-redis.ts';
import { identityOf } from '#tools/servers/identity.ts';
import { tryLock } from '#tools/servers/lock.ts';
import { waitGone } from '#tools/servers/signals.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { assignPorts, Cluster, type PortChoice, recordedIn } from './cluster.ts';
import type { ClusterFile, Run } from './cluster-file.ts';
import { isService, type Member, membersOf, SERVICES, type Wanted } from './roles.ts';
import { secretsIn } from './secrets.ts';
import { checkBuilt } from './service-process.ts';
import { type Settings, settingsFor } from './settings.ts';

export interface ClusterOptions extends Partial<Settings>, Wanted, Omit<Partial<Run>, 'binaries'> {
  /** Data folder. A temporary one, deleted at the end, when left out. */
  dir?: string | undefined;
  /** 'private': random free ports, for tests and benches. 'preferred': those people expect, or the next free. */
  ports?: PortChoice | undefined;
  /** Start a process again when it dies, as Kubernetes would. For attached clusters: somebody must be there to do it. */
  supervise?: boolean | undefined;
  progress?: Progress | undefined;
}

/**
 * Starts a cluster and waits until every process is ready. Unless `detached`, its processes end with this one,
 * however this one ends. On a folder whose detached cluster runs already, what has died is started again, and replicas are
 * brought to the number asked for.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { detached = false, supervise = false, progress = () => {} } = options;
  if (detached && supervise) throw new Error('A detached cluster cannot be supervised: nobody stays to do it.');
  const temporary = options.dir === undefined;
  if (temporary && detached) throw new Error('A detached cluster needs a data folder (dir).');
  const dir = resolve(options.dir ?? mkdtempSync(join(tmpdir(), 'recur-cluster-')));
  if (temporary) deleteWithUs(dir);
  // Customers' data and keys are in here: nobody else's business.
  mkdirSync(dir, { recursive: true, mode: 0o700 });

  const unlock = tryLock(join(dir, 'start.lock'));
  if (unlock === undefined) throw new Error(`Another process is starting or stopping the cluster in ${dir}.`);
  try {
    const settings = settingsFor(dir, options);
    const secrets = secretsIn(dir);
    const recorded = recordedIn(dir);
    // An attached cluster whose owner was killed is being ended by its watchdog right now.
    const ending = recorded !== undefined && !recorded.file.run.detached && !recorded.ownerAlive ? recorded.alive : [];
    for (const { ref } of ending) if (ref !== undefined) await waitGone(ref, 10_000);
    if (recorded !== undefined && recorded.alive.length > ending.length) {
      if (!detached || !recorded.file.run.detached) throw new Error(`A cluster already runs in ${dir}.`);
      const cluster = new Cluster(dir, recorded.file, secrets, { progress });
      await cluster.start();
      await rescale(cluster, options.replicas ?? {});
      return cluster;
    }

    const members = membersOf(options);
    check(members, options);
    const has = (role: Member['role']) => members.some((member) => member.role === role);
    const binaries: Run['binaries'] = {};
    if (has('nats')) binaries.nats = await ensureNats({ progress });
    if (has('redis')) binaries.redis = await ensureRedis({ progress });
    await assignPorts(members, options.ports ?? (temporary ? 'private' : 'preferred'));

    const { logLevel, mailFrom, env, serviceEnv, distDir, nats, redis, readyTimeoutMs } = options;
    const file: ClusterFile = {
      startedAt: new Date().toISOString(),
      owner: { pid: process.pid, identity: identityOf(process.pid) ?? '' },
      settings,
      run: { detached, logLevel, mailFrom, env, serviceEnv, distDir, nats, redis, readyTimeoutMs, binaries },
      members,
    };
    const cluster = new Cluster(dir, file, secrets, { supervise, temporary, progress });
    try {
      await cluster.start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  } finally {
    unlock();
  }
}

/** One service after the other: partitions move while everything runs. */
async function rescale(cluster: Cluster, replicas: NonNullable<Wanted['replicas']>): Promise<void> {
  for (const service of SERVICES) {
    const count = replicas[service];
    if (count !== undefined) await cluster.scale(service, count);
  }
}

/** The cluster that runs in a data folder, started by whomever (`npm run up`); undefined when none does. */
export function openCluster(dir: string, progress?: Progress): Cluster | undefined {
  const recorded = recordedIn(resolve(dir));
  if (recorded === undefined) return undefined;
  return new Cluster(resolve(dir), recorded.file, secretsIn(resolve(dir)), progress === undefined ? {} : { progress });
}

function check(members: Member[], { env = {}, distDir }: ClusterOptions): void {
  const services = members.map(({ role }) => role).filter(isService);
  if (services.length === 0) return;
  for (const [role, variable] of [
    ['nats', 'NATS_URL'],
    ['redis', 'REDIS_URL'],
  ] as const) {
    if (!members.some((member) => member.role === role) && env[variable] === undefined) {
      throw new Error(`Services need ${role}: let it run too, or name another in ${variable}.`);
    }
  }
  checkBuilt([...new Set(services)], distDir);
}
