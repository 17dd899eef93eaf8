import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';

const STATES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;

/** Asks gRPC's health service what a gRPC probe asks. Its two messages have one field each, so they are written by hand. */
export class HealthClient {
  readonly #client: Client;

  constructor(address: string, channel: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new Client(address, channel);
  }

  /** @param service empty for the whole server */
  check(service: string): Promise<(typeof STATES)[number]> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (name: string) =>
          name === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]),
        (bytes: Buffer) => STATES[bytes[1] ?? 0] ?? 'UNKNOWN',
        service,
        { deadline: Date.now() + 2_000 },
        (error, state) => (error === null ? resolve(state as (typeof STATES)[number]) : reject(error)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
