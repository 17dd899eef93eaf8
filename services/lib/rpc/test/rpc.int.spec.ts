import {
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '#gen/google/rpc/status.ts';
import { Call } from '../call.ts';
import { createClient, type GeneratedClient, type RpcClient } from '../client.ts';
import { RpcError } from '../errors.ts';
import { RpcServer } from '../server.ts';
import { rpcService } from '../service.ts';
import { ApiTokens } from '../tokens.ts';
import { message, Probe, ProbeService } from './probe.ts';

const ADMIN = 'admin-token-1';
const NARROW = 'narrow-token-1';
const tokens = new ApiTokens([
  { token: ADMIN, name: 'admin', scopes: ['*'] },
  { token: NARROW, name: 'narrow', scopes: ['recur.probe.v1.ProbeService/Sa'] },
]);
const Generated = makeGenericClientConstructor(
  ProbeService,
  'recur.probe.v1.ProbeService',
) as unknown as GeneratedClient<typeof ProbeService>;

let server: RpcServer;
let address: string;
let client: RpcClient<typeof ProbeService>;
const probe = new Probe();
const registry = new Registry();
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({}, { write: (line: string) => logged.push(line) });
  const services = [rpcService(ProbeService, probe)];
  server = new RpcServer({
    services,
    tokens,
    logger,
    registry,
    host: '127.0.0.1',
    port: 0,
    reflection: false,
    defaultDeadlineMs: 400,
  });
  address = `127.0.0.1:${await server.start()}`;
  client = createClient(Generated, address, { token: ADMIN });
});
afterAll(async () => {
  client?.close();
  await server?.stop(1000);
});

const failure = async (work: Promise<unknown>): Promise<RpcError> => {
  const error = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
};

/** A call that a handler of another service would be in. */
function parentCall(token: string, deadlineMs: number): Call {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const raw = { metadata, cancelled: false, getDeadline: () => deadlineMs, on: () => undefined };
  return new Call('recur.other.v1.OtherService/Get', { name: 'caller', scopes: [] }, deadlineMs, raw);
}

describe('calls', () => {
  test('unary, server stream and client stream', async () => {
    expect((await client.say(message('hello'))).message).toBe('you said hello');
    const numbers: number[] = [];
    for await (const { code } of client.count(message('', 5))) numbers.push(code);
    expect(numbers).toEqual([1, 2, 3, 4, 5]);
    const requests = Array.from({ length: 5000 }, (_, index) => message('', index));
    expect((await client.sum(requests)).code).toBe(12_497_500);
  });

  test('a slow reader holds the server back, and stopping early stops it', async () => {
    for await (const { code } of client.count(message('large', 100_000))) {
      if (code === 1) await new Promise((resolve) => setTimeout(resolve, 200));
      if (code === 2) break;
    }
    const written = probe.written;
    expect(written).toBeLessThan(5_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(probe.written).toBeLessThan(written + 100);
  });
});

describe('errors', () => {
  test('field violations arrive as google.rpc.BadRequest', async () => {
    const error = await failure(client.say(message('invalid')));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.violations).toEqual([
      { field: 'message', description: 'must not be "invalid"' },
      { field: 'code', description: 'must be 1' },
    ]);
  });

  test.each([
    ['notFound', status.NOT_FOUND, 'There is no word "x".'],
    ['alreadyExists', status.ALREADY_EXISTS, 'There is a word "x" already.'],
    ['failedPrecondition', status.FAILED_PRECONDITION, 'not now'],
    ['aborted', status.ABORTED, 'somebody else was faster'],
    ['unavailable', status.UNAVAILABLE, 'the store is away'],
    ['permissionDenied', status.PERMISSION_DENIED, 'not you'],
  ])('%s', async (text, code, details) => {
    const error = await failure(client.say(message(text)));
    expect([error.code, error.message]).toEqual([code, details]);
  });

  test('a retry hint arrives', async () => {
    const error = await failure(client.say(message('resourceExhausted')));
    expect([error.code, error.retryAfterMs]).toEqual([status.RESOURCE_EXHAUSTED, 1500]);
  });

  test('what nobody expected is INTERNAL with an id that is in the log, and nothing of the inside', async () => {
    const error = await failure(client.say(message('unexpected')));
    expect(error.code).toBe(status.INTERNAL);
    const id = /^Internal error ([\da-f-]{36})\.$/.exec(error.message)?.[1];
    expect(id).toBeDefined();
    expect(JSON.stringify(error.cause)).not.toContain('secret detail');
    const line = logged.find((entry) => entry.includes(id as string));
    expect(line).toContain('secret detail of the inside');
    expect(line).toContain('recur.probe.v1.ProbeService/Say');
  });

  test('in streams of either direction', async () => {
    const numbers: number[] = [];
    const read = async () => {
      for await (const { code } of client.count(message('fail', 10))) numbers.push(code);
    };
    const error = await failure(read());
    expect([error.code, error.violations[0]?.field, numbers]).toEqual([status.INVALID_ARGUMENT, 'code', [1, 2]]);
    const refused = await failure(client.sum([message('', 1), message('', -1), message('', 2)]));
    expect(refused.violations).toEqual([{ field: 'code', description: 'must not be negative' }]);
  });

  test('a request over 4 MB is RESOURCE_EXHAUSTED and the connection goes on', async () => {
    expect((await client.say(message('x'.repeat(4 * 1024 * 1024 - 100)))).message).toBe('you said 4194204');
    const error = await failure(client.say(message('x'.repeat(4 * 1024 * 1024 + 1))));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await client.say(message('still there'))).message).toBe('you said still there');
  });

  test('bytes that are no message are refused', async () => {
    const raw = new Client(address, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${ADMIN}`);
    const error = await new Promise<ServiceError | null>((resolve) => {
      raw.makeUnaryRequest(
        ProbeService.say.path,
        (value: Buffer) => value,
        (value) => value,
        Buffer.from([0x12, 0xff]),
        metadata,
        resolve,
      );
    });
    raw.close();
    expect([error?.code, error?.details]).toEqual([
      status.INVALID_ARGUMENT,
      'The request is not a message of its type.',
    ]);
    expect((await client.say(message('fine'))).message).toBe('you said fine');
  });
});

describe('who may call', () => {
  const callWith = (authorization?: string): Promise<{ error: ServiceError | null; answer?: Status | undefined }> => {
    const raw = new Client(address, credentials.createInsecure());
    const metadata = new Metadata();
    if (authorization !== undefined) metadata.set('authorization', authorization);
    const { path, requestSerialize, responseDeserialize } = ProbeService.say;
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, answer?: Status) => {
        raw.close();
        resolve({ error, answer });
      };
      const call: ClientUnaryCall = raw.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message('who'),
        metadata,
        done,
      );
      expect(call).toBeDefined();
    });
  };

  test.each([
    [undefined, status.UNAUTHENTICATED],
    ['', status.UNAUTHENTICATED],
    ['Bearer', status.UNAUTHENTICATED],
    ['Bearer wrong-token', status.UNAUTHENTICATED],
    [`Bearer ${ADMIN}x`, status.UNAUTHENTICATED],
    [`Basic ${ADMIN}`, status.UNAUTHENTICATED],
    [`Bearer ${'x'.repeat(5000)}`, status.UNAUTHENTICATED],
    [`Bearer ${ADMIN} ${ADMIN}`, status.UNAUTHENTICATED],
  ])('%j is refused', async (authorization, code) => {
    expect((await callWith(authorization)).error?.code).toBe(code);
  });

  test('a good token, and its name in the handler', async () => {
    expect((await callWith(`bearer ${NARROW}`)).answer?.message).toBe('narrow');
  });

  test('a method outside the scopes', async () => {
    const narrow = createClient(Generated, address, { token: NARROW });
    const error = await failure(narrow.whisper(message('hello')));
    narrow.close();
    expect([error.code, error.message]).toEqual([
      status.PERMISSION_DENIED,
      'The token "narrow" may not call recur.probe.v1.ProbeService/Whisper.',
    ]);
  });
});

describe('deadlines', () => {
  test('the handler is told, the caller gets DEADLINE_EXCEEDED', async () => {
    probe.aborts.length = 0;
    const error = await failure(client.say(message('hang'), { deadlineMs: 150 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await expect.poll(() => probe.aborts.length).toBe(1);
  });

  test('a call without one gets the default', async () => {
    const raw = new Client(address, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${ADMIN}`);
    const { path, requestSerialize, responseDeserialize } = ProbeService.say;
    const error = await new Promise<ServiceError | null>((resolve) => {
      raw.makeUnaryRequest(path, requestSerialize, responseDeserialize, message('hang'), metadata, resolve);
    });
    raw.close();
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
  });

  test('a client that goes away in the middle of its stream has not finished it', async () => {
    const before = [...probe.sums];
    const cancel = new AbortController();
    const requests = async function* () {
      yield message('', 1);
      yield message('', 2);
      setTimeout(() => cancel.abort(), 50);
      await new Promise((resolve) => setTimeout(resolve, 200));
    };
    const error = await failure(client.sum(requests(), { signal: cancel.signal }));
    expect(error.code).toBe(status.CANCELLED);
    await expect.poll(() => probe.broken).toBe(1);
    expect(probe.sums).toEqual(before);
  });

  test("cancelling and the parent call's deadline reach the server", async () => {
    probe.aborts.length = 0;
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), 50);
    const error = await failure(client.say(message('hang'), { signal: cancel.signal, deadlineMs: 5000 }));
    expect(error.code).toBe(status.CANCELLED);
    await expect.poll(() => probe.aborts.length).toBe(1);
    const parent = parentCall(NARROW, Date.now() + 1000);
    await client.say(message('hello'), { parent, deadlineMs: 60_000 });
    expect(probe.deadlines.at(-1)).toBeLessThanOrEqual(1000);
    await client.say(message('hello'));
    expect(probe.deadlines.at(-1)).toBeGreaterThan(4000);
  });

  test('without a token of its own a client calls in the name of the parent', async () => {
    const bare = createClient(Generated, address);
    expect((await bare.say(message('who'), { parent: parentCall(NARROW, Date.now() + 1000) })).message).toBe('narrow');
    expect((await failure(bare.say(message('who')))).code).toBe(status.UNAUTHENTICATED);
    bare.close();
  });
});

test('durations are counted by method and code', async () => {
  const text = await registry.metrics();
  expect(text).toMatch(
    /rpc_server_duration_seconds_count\{method="recur\.probe\.v1\.ProbeService\/Say",code="OK"\} [1-9]/,
  );
  expect(text).toMatch(
    /rpc_server_duration_seconds_count\{method="recur\.probe\.v1\.ProbeService\/Say",code="INVALID_ARGUMENT"\} [1-9]/,
  );
});
