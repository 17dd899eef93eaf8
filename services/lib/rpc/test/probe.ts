import { status } from '@grpc/grpc-js';
import { Status } from '#gen/google/rpc/status.ts';
import type { Call } from '../call.ts';
import {
  aborted,
  alreadyExists,
  failedPrecondition,
  invalidArgument,
  notFound,
  permissionDenied,
  type RpcError,
  resourceExhausted,
  unavailable,
} from '../errors.ts';
import type { Handlers } from '../service.ts';

const say = {
  requestSerialize: (value: Status): Buffer => Buffer.from(Status.encode(value).finish()),
  requestDeserialize: (value: Buffer): Status => Status.decode(value),
  responseSerialize: (value: Status): Buffer => Buffer.from(Status.encode(value).finish()),
  responseDeserialize: (value: Buffer): Status => Status.decode(value),
} as const;

/** A service in the form ts-proto generates, one method of each kind. A message's text says what shall happen. */
export const ProbeService = {
  say: { path: '/recur.probe.v1.ProbeService/Say', requestStream: false, responseStream: false, ...say },
  whisper: { path: '/recur.probe.v1.ProbeService/Whisper', requestStream: false, responseStream: false, ...say },
  count: { path: '/recur.probe.v1.ProbeService/Count', requestStream: false, responseStream: true, ...say },
  sum: { path: '/recur.probe.v1.ProbeService/Sum', requestStream: true, responseStream: false, ...say },
} as const;

export const message = (text: string, code = 0): Status => Status.fromPartial({ message: text, code });

const FAILURES: Record<string, () => Error> = {
  invalid: () =>
    invalidArgument([
      { field: 'message', description: 'must not be "invalid"' },
      { field: 'code', description: 'must be 1' },
    ]),
  notFound: () => notFound('word "x"'),
  alreadyExists: () => alreadyExists('word "x"'),
  failedPrecondition: () => failedPrecondition('not now'),
  aborted: () => aborted('somebody else was faster'),
  resourceExhausted: () => resourceExhausted(1500),
  unavailable: () => unavailable('the store is away'),
  permissionDenied: () => permissionDenied('not you'),
  unexpected: () => new TypeError('secret detail of the inside'),
};

export class Probe implements Handlers<typeof ProbeService> {
  /** What became of calls that were told to hang: why their signal aborted. */
  readonly aborts: unknown[] = [];
  readonly deadlines: number[] = [];
  readonly sums: number[] = [];
  /** Client streams that ended in the middle. */
  broken = 0;
  written = 0;
  readonly #prefix = 'you said ';

  async say({ message: text }: Status, call: Call): Promise<Status> {
    this.deadlines.push(call.deadlineMs - Date.now());
    const failure = FAILURES[text];
    if (failure !== undefined) throw failure();
    if (text === 'who') return message(call.principal.name);
    if (text === 'linger') await new Promise((resolve) => setTimeout(resolve, 600));
    if (text === 'hang') await this.#hang(call);
    return message(this.#prefix + (text.length > 100 ? text.length : text));
  }

  whisper(request: Status, call: Call): Promise<Status> {
    return this.say(request, call);
  }

  async *count({ code, message: text }: Status): AsyncGenerator<Status> {
    for (let number = 1; number <= code; number++) {
      if (text === 'fail' && number === 3) throw invalidArgument([{ field: 'code', description: 'must be below 3' }]);
      this.written = number;
      yield message('x'.repeat(text === 'large' ? 10_000 : 1), number);
    }
  }

  async sum(requests: AsyncIterable<Status>): Promise<Status> {
    let sum = 0;
    try {
      for await (const { code } of requests) {
        if (code < 0) throw invalidArgument([{ field: 'code', description: 'must not be negative' }]);
        sum += code;
      }
    } catch (error) {
      this.broken += (error as RpcError).code === status.CANCELLED ? 1 : 0;
      throw error;
    }
    this.sums.push(sum);
    return message('sum', sum);
  }

  #hang(call: Call): Promise<void> {
    return new Promise((resolve) => {
      call.signal.addEventListener('abort', () => {
        this.aborts.push(call.signal.reason);
        resolve();
      });
    });
  }
}
