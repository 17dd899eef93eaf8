import { mailboxSpec, smtpUrl } from '#tools/mailbox/process.ts';
import type { ChildSpec } from '#tools/servers/child.ts';
import { natsSpec, natsUrl } from '#tools/servers/nats.ts';
import { redisSpec, redisUrl } from '#tools/servers/redis.ts';
import { folderOf, logFileOf, type RecordedMember, type Run } from './cluster-file.ts';
import { type Surroundings, serviceEnv } from './environment.ts';
import { type Member, type PortName, type Role, SERVICES, type ServiceName } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { serviceSpec } from './service-process.ts';
import type { Settings } from './settings.ts';

export interface Plan {
  dir: string;
  settings: Settings;
  run: Run;
  secrets: Secrets;
  members: readonly Member[];
}

/**
 * Nobody waits for rows: where all processes share the cores of one machine, an insert or a merge stands back for the way of an event to
 * its message. On Kubernetes analytics and ClickHouse have processors of their own, by requests and limits.
 */
const ANALYTICS_NICE = 10;

/** How a member is started. Says the same whenever it is asked, so a member can be started again by anybody. */
export function specOf(member: RecordedMember, plan: Plan): ChildSpec {
  const { dir, run } = plan;
  const { name, role, ports } = member;
  const base = { name, dir: folderOf(dir, role), logFile: logFileOf(dir, name), detached: run.detached };
  const port = (port: PortName) => ports[port] ?? 0;
  switch (role) {
    case 'nats':
      return natsSpec({
        ...base,
        ...run.nats,
        binary: run.binaries.nats ?? '',
        port: port('client'),
        monitorPort: port('monitor'),
      });
    case 'redis':
      return redisSpec({ ...base, ...run.redis, binary: run.binaries.redis ?? '', port: port('client') });
    case 'mailbox':
      return mailboxSpec({ ...base, smtpPort: port('smtp'), httpPort: port('http') });
    default: {
      const env = { ...serviceEnv(member, surroundingsOf(plan)), ...run.env, ...run.serviceEnv?.[role] };
      const distDir = member.distDir ?? run.distDir;
      const nice = role === 'analytics' ? ANALYTICS_NICE : 0;
      return serviceSpec({ ...base, service: role, env, distDir, nice, readyTimeoutMs: run.readyTimeoutMs });
    }
  }
}

function surroundingsOf({ dir, settings, run, secrets, members }: Plan): Surroundings {
  const natsPort = portOf(members, 'nats', 'client');
  const redisPort = portOf(members, 'redis', 'client');
  const smtpPort = portOf(members, 'mailbox', 'smtp');
  const mailboxPort = portOf(members, 'mailbox', 'http');
  return {
    settings,
    // When they are not part of the cluster, run.env names others (checked at the start).
    natsUrl: natsPort === undefined ? '' : natsUrl(natsPort),
    redisUrl: redisPort === undefined ? '' : redisUrl(redisPort),
    secrets: secrets.files,
    peers: peersOf(members),
    smtpUrl: smtpPort === undefined ? undefined : smtpUrl(smtpPort),
    mailboxUrl: mailboxPort === undefined ? undefined : `http://127.0.0.1:${mailboxPort}`,
    mailFrom: run.mailFrom,
    logLevel: run.logLevel,
    analyticsDir: folderOf(dir, 'analytics'),
  };
}

/** The first replica of each: there is no load balancer in front of local replicas. */
export function peersOf(members: readonly Member[]): Partial<Record<ServiceName, string>> {
  const peers: Partial<Record<ServiceName, string>> = {};
  for (const service of SERVICES) {
    const port = portOf(members, service, 'grpc');
    if (port !== undefined) peers[service] = `127.0.0.1:${port}`;
  }
  return peers;
}

export function portOf(members: readonly Member[], role: Role, port: PortName): number | undefined {
  return members.find((member) => member.role === role)?.ports[port];
}
