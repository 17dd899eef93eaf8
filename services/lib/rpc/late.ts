import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { RawCall } from './call.ts';

/** Whether requests and responses of a method are streams. */
export const UNARY = { requestStream: false, responseStream: false };
export const SERVER_STREAM = { requestStream: false, responseStream: true };
export const TWO_WAYS = { requestStream: true, responseStream: true };

/** Of a service of a library, what stands for it until it is called. */
export interface LateService {
  readonly name: string;
  readonly methods: Readonly<Record<string, { readonly requestStream: boolean; readonly responseStream: boolean }>>;
  /** Called with a server that the library adds its services to. */
  readonly load: (server: Server) => Promise<void>;
  /** Throws for callers who may not call it; before anything is loaded. */
  readonly enter?: (call: RawCall) => void;
}

type Respond = ((error: unknown) => void) | undefined;
type RawHandler = (call: LateCall, respond: Respond) => void;
type LateCall = RawCall & NodeJS.EventEmitter & { request?: unknown };

/**
 * Serves a library's service that is loaded when it is first called. Libraries that read .proto files and descriptors would take a
 * quarter of the time until a process is ready.
 */
export function addLate(server: Server, { name, methods, load, enter }: LateService): void {
  const library = new Library(name, load);
  const definition: ServiceDefinition = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [method, streams] of Object.entries(methods)) {
    (definition as Record<string, object>)[method] = {
      path: `/${name}/${method}`,
      ...streams,
      ...library.codec(method),
    };
    const handle = async (call: LateCall, respond: Respond) => {
      enter?.(call);
      await library.ready();
      library.handle(method, call, respond);
    };
    const handler: RawHandler = (call, respond) => {
      handle(call, respond).catch((error: unknown) => (respond ? respond(error) : call.emit('error', error)));
    };
    implementation[method] = handler as unknown as UntypedServiceImplementation[string];
  }
  server.addService(definition, implementation);
}

/** One service of it. */
class Library {
  readonly #name: string;
  readonly #load: LateService['load'];
  #loading: Promise<void> | undefined;
  #definition: ServiceDefinition | undefined;
  #implementation: UntypedServiceImplementation = {};

  constructor(name: string, load: LateService['load']) {
    this.#name = name;
    this.#load = load;
  }

  /** One that failed is tried again by the next call. */
  ready(): Promise<void> {
    this.#loading ??= this.#load({ addService: this.#add } as Pick<Server, 'addService'> as Server).catch((error) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  /** A request that comes before the library stays as it is until the library is there. */
  codec(method: string) {
    return {
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => (this.#definition ? this.#of(method).requestDeserialize(bytes) : bytes),
      responseSerialize: (value: unknown) => this.#of(method).responseSerialize(value),
      responseDeserialize: (bytes: Buffer) => bytes,
    };
  }

  handle(method: string, call: LateCall, respond: Respond): void {
    const of = this.#of(method);
    if (Buffer.isBuffer(call.request)) call.request = of.requestDeserialize(call.request);
    const handler = this.#implementation[method] ?? this.#implementation[of.originalName ?? ''];
    (handler as unknown as RawHandler)(call, respond);
  }

  #of(method: string): ServiceDefinition[string] {
    const found = this.#definition?.[method];
    if (found === undefined) throw new Error(`${this.#name} has no ${method}`);
    return found;
  }

  readonly #add = (definition: ServiceDefinition, implementation: UntypedServiceImplementation): void => {
    if (Object.values(definition).every(({ path }) => !path.startsWith(`/${this.#name}/`))) return;
    this.#definition = definition;
    this.#implementation = implementation;
  };
}
