import type { Server } from '@grpc/grpc-js';
import type { HealthImplementation } from 'grpc-health-check';
import { addLate, SERVER_STREAM, UNARY } from './late.ts';

type Status = 'SERVING' | 'NOT_SERVING';

/** grpc.health.v1.Health, of the server and of each service. */
export class Health {
  static readonly service = 'grpc.health.v1.Health';
  readonly #statuses = new Map<string, Status>();
  #library: HealthImplementation | undefined;

  set(service: string, status: Status): void {
    this.#statuses.set(service, status);
    this.#library?.setStatus(service, status);
  }

  addToServer(server: Server): void {
    addLate(server, {
      name: Health.service,
      methods: { Check: UNARY, List: UNARY, Watch: SERVER_STREAM },
      load: async (registry) => {
        const { HealthImplementation } = await import('grpc-health-check');
        this.#library = new HealthImplementation(Object.fromEntries(this.#statuses));
        this.#library.addToServer(registry);
      },
    });
  }
}
