import type { Cluster } from '#tools/cluster/cluster.ts';
import { type Member, SERVICES, type ServiceName } from '#tools/cluster/roles.ts';
import { Front } from './front.ts';

/** One address for each service, and one for ingest's HTTP: what callers, inside and outside, are told. */
export class Fronts {
  readonly #grpc: Readonly<Record<ServiceName, Front>>;
  readonly #http: Front;

  private constructor(grpc: Record<ServiceName, Front>, http: Front) {
    this.#grpc = grpc;
    this.#http = http;
  }

  static async open(): Promise<Fronts> {
    const grpc = await Promise.all(SERVICES.map(async (service) => [service, await Front.open()] as const));
    return new Fronts(Object.fromEntries(grpc) as Record<ServiceName, Front>, await Front.open());
  }

  /** For the services, so that they call each other here. */
  get env(): Record<string, string> {
    return Object.fromEntries(SERVICES.map((name) => [`${name.toUpperCase()}_ADDR`, this.#grpc[name].address]));
  }

  get ingestHttp(): string {
    return `http://${this.#http.address}`;
  }

  address(service: ServiceName): string {
    return this.#grpc[service].address;
  }

  behindAll(cluster: Cluster): void {
    for (const member of cluster.members) this.add(member);
  }

  /** It is ready. */
  add(member: Member): void {
    for (const [front, port] of this.#of(member)) front.behind.add(port);
  }

  /** It is about to end: nobody new is sent there. */
  remove(member: Member): void {
    for (const [front, port] of this.#of(member)) front.behind.delete(port);
  }

  async close(): Promise<void> {
    await Promise.all([...Object.values(this.#grpc), this.#http].map((front) => front.close()));
  }

  #of({ role, ports }: Member): [Front, number][] {
    if (!(role in this.#grpc)) return [];
    const grpc: [Front, number] = [this.#grpc[role as ServiceName], ports.grpc ?? 0];
    return role === 'ingest' ? [grpc, [this.#http, ports.http ?? 0]] : [grpc];
  }
}
