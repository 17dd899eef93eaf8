import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RpcServer } from '#lib/rpc/server.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { message, Probe, ProbeService } from '#lib/rpc/test/probe.ts';
import { ApiTokens } from '#lib/rpc/tokens.ts';
import { RawConnection, rawRequest } from './raw-connection.ts';

const TOKEN = 'a-token-of-the-test';
const probe = new Probe();
let server: RpcServer;
let address: string;

beforeAll(async () => {
  server = new RpcServer({
    services: [rpcService(ProbeService, probe)],
    tokens: new ApiTokens([{ token: TOKEN, name: 'test', scopes: ['*'] }]),
    logger: pino({ level: 'silent' }),
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
  });
  address = `127.0.0.1:${await server.start()}`;
});
afterAll(() => server?.stop(1_000));

const request = (text: string, token = TOKEN) =>
  rawRequest(
    ProbeService.say.path,
    { 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '20S', authorization: `Bearer ${token}` },
    ProbeService.say.requestSerialize(message(text)),
  );

/** The calls that ended, in the order they did; rejects when one failed. */
function callAll(texts: readonly string[], token = TOKEN): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const ended: number[] = [];
    const answers = {
      ended: (call: number) => {
        ended.push(call);
        if (ended.length === texts.length) resolve(ended);
      },
      failed: reject,
    };
    RawConnection.open(address, texts.length, answers).then((connection) => {
      for (const text of texts) connection.call(request(text, token));
    }, reject);
  });
}

test('each call is told to have ended, once, and the server has seen what was sent', async () => {
  const before = probe.deadlines.length;
  const texts = Array.from({ length: 500 }, (_, i) => 'x'.repeat((i * 7) % 90));
  expect((await callAll(texts)).sort((a, b) => a - b)).toEqual(texts.map((_, i) => i));
  const deadlines = probe.deadlines.slice(before);
  expect(deadlines).toHaveLength(500);
  expect(Math.min(...deadlines)).toBeGreaterThan(10_000);
});

test('one that takes longer ends later', async () => {
  expect(await callAll(['linger', 'a', 'b'])).toEqual([1, 2, 0]);
});

test('an error is no answer', async () => {
  await expect(callAll(['a', 'notFound'])).rejects.toThrow(/without an answer/);
  await expect(callAll(['a'], 'another')).rejects.toThrow(/without an answer/);
});
