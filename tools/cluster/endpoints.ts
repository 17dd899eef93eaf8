import { smtpUrl } from '#tools/mailbox/process.ts';
import { natsUrl } from '#tools/servers/nats.ts';
import { redisUrl } from '#tools/servers/redis.ts';
import { type Member, type PortName, type Role, SERVICES, type ServiceName } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { peersOf, portOf } from './specs.ts';

/** Where a cluster is reached. Asking for something that does not run in it throws, and says so. */
export class Endpoints {
  readonly #members: readonly Member[];
  readonly #secrets: Secrets;

  constructor(members: readonly Member[], secrets: Secrets) {
    this.#members = members;
    this.#secrets = secrets;
  }

  /** The Segment tracking API. */
  get ingestHttp(): string {
    return this.#http('ingest');
  }
  /** ClickHouse's HTTP protocol, served by analytics. */
  get clickhouseHttp(): string {
    return `http://127.0.0.1:${this.#port('analytics', 'clickhouse')}`;
  }
  /** The mailbox's page and API. */
  get mailboxHttp(): string {
    return this.#http('mailbox');
  }
  get smtpUrl(): string {
    return smtpUrl(this.#port('mailbox', 'smtp'));
  }
  get natsUrl(): string {
    return natsUrl(this.#port('nats', 'client'));
  }
  get natsMonitorUrl(): string {
    return `http://127.0.0.1:${this.#port('nats', 'monitor')}`;
  }
  get redisUrl(): string {
    return redisUrl(this.#port('redis', 'client'));
  }
  /** host:port of each service's gRPC server (of its first replica). */
  get grpc(): Readonly<Record<ServiceName, string>> {
    const peers = peersOf(this.#members);
    const getters = SERVICES.map((name) => [name, { enumerable: true, get: () => peers[name] ?? missing(name) }]);
    return Object.defineProperties({} as Record<ServiceName, string>, Object.fromEntries(getters));
  }
  get writeKey(): string {
    return this.#secrets.writeKey;
  }
  /** By source (channel): web, mini_program, pos, tmall, import. */
  get writeKeys(): Readonly<Record<string, string>> {
    return this.#secrets.writeKeys;
  }
  get apiToken(): string {
    return this.#secrets.apiToken;
  }

  /** /readyz, /metrics … of one process. */
  httpOf(processName: string): string {
    const member = this.#members.find(({ name }) => name === processName);
    return member?.ports.http === undefined ? missing(processName) : `http://127.0.0.1:${member.ports.http}`;
  }

  #http(role: Role): string {
    return `http://127.0.0.1:${this.#port(role, 'http')}`;
  }

  #port(role: Role, port: PortName): number {
    return portOf(this.#members, role, port) ?? missing(role);
  }
}

function missing(name: string): never {
  throw new Error(`${name} does not run in this cluster.`);
}

/** What a person wants to know of a process: where it is. */
export function addressOf({ role, ports }: Member): string {
  const http = `http://127.0.0.1:${ports.http}`;
  switch (role) {
    case 'nats':
      return natsUrl(ports.client ?? 0);
    case 'redis':
      return redisUrl(ports.client ?? 0);
    case 'mailbox':
      return `${http}  ${smtpUrl(ports.smtp ?? 0)}`;
    case 'ingest':
      return `${http}  gRPC 127.0.0.1:${ports.grpc}`;
    case 'analytics':
      return `http://127.0.0.1:${ports.clickhouse} (SQL)  gRPC 127.0.0.1:${ports.grpc}`;
    default:
      return `gRPC 127.0.0.1:${ports.grpc}`;
  }
}
