/** What runs in a local cluster, in the order events flow: servers first, then services from ingest on. */
export const SERVERS = ['nats', 'redis', 'mailbox'] as const;
export const SERVICES = ['ingest', 'identity', 'profile', 'segmentation', 'journey', 'messaging', 'analytics'] as const;
export const ROLES = [...SERVERS, ...SERVICES] as const;

export type ServerRole = (typeof SERVERS)[number];
export type ServiceName = (typeof SERVICES)[number];
export type Role = (typeof ROLES)[number];
export type PortName = 'client' | 'monitor' | 'smtp' | 'http' | 'grpc' | 'clickhouse';

export function isService(role: string): role is ServiceName {
  return (SERVICES as readonly string[]).includes(role);
}

export function isRole(name: string): name is Role {
  return (ROLES as readonly string[]).includes(name);
}

/**
 * The ports people expect things on. A second cluster, or a second replica, gets the next free ones. All are below 32768: from there on
 * systems take ports for outgoing connections, and one that was free a moment ago would be somebody's when a service listens.
 */
export const PREFERRED_PORTS: Record<Role, Partial<Record<PortName, number>>> = {
  nats: { client: 4222, monitor: 8222 },
  redis: { client: 6379 },
  mailbox: { smtp: 1025, http: 8025 },
  ingest: { http: 8080, grpc: 15_051 },
  identity: { http: 9052, grpc: 15_052 },
  profile: { http: 9053, grpc: 15_053 },
  segmentation: { http: 9054, grpc: 15_054 },
  journey: { http: 9055, grpc: 15_055 },
  messaging: { http: 9056, grpc: 15_056 },
  analytics: { http: 9057, grpc: 15_057, clickhouse: 8123 },
};

/** One process of the cluster. */
export interface Member {
  /** The service's name; `profile-2` for its second replica. */
  name: string;
  role: Role;
  /** 1 for the first. */
  replica: number;
  ports: Partial<Record<PortName, number>>;
}

export interface Wanted {
  only?: readonly Role[] | undefined;
  without?: readonly Role[] | undefined;
  replicas?: Partial<Record<ServiceName, number>> | undefined;
}

/** Who is to run, without ports yet. */
export function membersOf({ only = ROLES, without = [], replicas = {} }: Wanted): Member[] {
  if ((replicas.analytics ?? 1) > 1) {
    throw new Error('analytics can only run once here: its embedded ClickHouse allows one process per folder.');
  }
  return ROLES.filter((role) => only.includes(role) && !without.includes(role)).flatMap((role) => {
    const count = isService(role) ? (replicas[role] ?? 1) : 1;
    return Array.from({ length: count }, (_, i) => memberOf(role, i + 1));
  });
}

export function memberOf(role: Role, replica: number): Member {
  return { name: replica === 1 ? role : `${role}-${replica}`, role, replica, ports: {} };
}
