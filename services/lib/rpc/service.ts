import type { ServiceDefinition } from '@grpc/grpc-js';
import type { Call } from './call.ts';

/** One method of a definition that ts-proto generated (`outputServices=grpc-js`). */
export interface MethodShape {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: parameters of generated functions differ, and are only inferred from
  readonly requestSerialize: (value: any) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly responseSerialize: (value: any) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

export type ServiceShape = Readonly<Record<string, MethodShape>>;

export type RequestOf<M extends MethodShape> = ReturnType<M['requestDeserialize']>;
export type ResponseOf<M extends MethodShape> = ReturnType<M['responseDeserialize']>;

type Incoming<M extends MethodShape> = M['requestStream'] extends true ? AsyncIterable<RequestOf<M>> : RequestOf<M>;
type Outgoing<M extends MethodShape> = M['responseStream'] extends true
  ? AsyncIterable<ResponseOf<M>>
  : Promise<ResponseOf<M>> | ResponseOf<M>;

/** What implements a service: a method for each of its methods, streams as async iterables. */
export type Handlers<S extends ServiceShape> = {
  [M in keyof S]: (request: Incoming<S[M]>, call: Call) => Outgoing<S[M]>;
};

/** A service and what implements it. */
export interface RpcService {
  /** Full name: `recur.segmentation.v1.SegmentationService`. */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, (request: never, call: Call) => unknown>>;
}

/** Binds an object or class instance to a generated service definition; the types see to it that no method is missing. */
export function rpcService<const S extends ServiceShape>(definition: S, handlers: Handlers<S>): RpcService {
  const bound: Record<string, (request: never, call: Call) => unknown> = {};
  for (const method of Object.keys(definition)) {
    const handler = handlers[method];
    if (typeof handler !== 'function') throw new Error(`${definition[method]?.path} has no handler "${method}".`);
    bound[method] = handler.bind(handlers) as (request: never, call: Call) => unknown;
  }
  const name = Object.values(definition)[0]?.path.split('/')[1];
  if (name === undefined) throw new Error('A service needs at least one method.');
  return { name, definition: definition as unknown as ServiceDefinition, handlers: bound };
}
