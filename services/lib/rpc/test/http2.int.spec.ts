import { gzipSync } from 'node:zlib';
import { Client, credentials, Metadata, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '#gen/google/rpc/status.ts';
import fc from '#tools/testkit/fast-check.ts';
import type { Call } from '../call.ts';
import { createClient, type GeneratedClient, type RpcClient } from '../client.ts';
import { CODE, FLAG, FRAME, numbersFrame, SETTING, settingsFrame } from '../http2/frames.ts';
import { fieldBlock } from '../http2/hpack.ts';
import { RpcServer } from '../server.ts';
import { rpcService } from '../service.ts';
import { ApiTokens } from '../tokens.ts';
import { message, Probe, ProbeService } from './probe.ts';
import { BEGIN, callBlock, callFrame, frame, messageFrame, RawPeer } from './raw-peer.ts';

const TOKEN = 'admin-token-1';
const SAY = ProbeService.say.path;
const Generated = makeGenericClientConstructor(
  ProbeService,
  'recur.probe.v1.ProbeService',
) as unknown as GeneratedClient<typeof ProbeService>;

/** Answers "large" with as many bytes as it is told. */
class LargeProbe extends Probe {
  override async say(request: Status, call: Call): Promise<Status> {
    if (request.message !== 'large') return super.say(request, call);
    return message('y'.repeat(request.code));
  }

  /** Reads late. */
  override async sum(requests: AsyncIterable<Status>): Promise<Status> {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return super.sum(requests);
  }
}

const makeServer = () =>
  new RpcServer({
    services: [rpcService(ProbeService, new LargeProbe())],
    tokens: new ApiTokens([{ token: TOKEN, name: 'admin', scopes: ['*'] }]),
    logger: pino({ level: 'silent' }),
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
  });

let server: RpcServer;
let client: RpcClient<typeof ProbeService>;
const peers: RawPeer[] = [];

beforeAll(async () => {
  server = makeServer();
  client = createClient(Generated, `127.0.0.1:${await server.start()}`, { token: TOKEN });
});
afterEach(() => {
  for (const peer of peers.splice(0)) peer.close();
});
afterAll(async () => {
  client?.close();
  await server?.stop(1_000);
});

function begin(...more: Uint8Array[]): RawPeer {
  const peer = new RawPeer(server.port);
  peers.push(peer);
  peer.send(BEGIN, ...more);
  return peer;
}

const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };
const encode = (text: string, code = 0) => ProbeService.say.requestSerialize(message(text, code));
/** All of a call. */
const call = (stream: number, text: string, code = 0) =>
  Buffer.concat([callFrame(stream, callBlock(SAY, AUTHORIZED)), messageFrame(stream, encode(text, code))]);

/** One message, compressed, in one frame. */
function compressed(plain: Buffer, bytes = gzipSync(plain)): Buffer {
  const prefix = Buffer.of(1, 0, 0, bytes.length >>> 8, bytes.length & 0xff);
  return frame(FRAME.data, FLAG.endStream, 1, Buffer.concat([prefix, bytes]));
}

const answered = (peer: RawPeer, stream: number) =>
  expect.poll(() => peer.fields.get(stream)?.join(' '), { timeout: 5_000 }).toMatch(/grpc-status 0$/);

describe('the connection ends with a code when its rules are broken', () => {
  const open = callFrame(1, callBlock(SAY, AUTHORIZED));
  test.each<[string, Buffer[], number]>([
    ['a frame longer than allowed', [frame(FRAME.data, 0, 1, Buffer.alloc(16_385))], CODE.frameSizeError],
    ['data of a stream that never was', [frame(FRAME.data, 0, 1, Buffer.alloc(1))], CODE.protocolError],
    ['an even stream', [callFrame(2, callBlock(SAY))], CODE.protocolError],
    ['a stream below the last', [call(5, 'a'), call(3, 'a')], CODE.streamClosed],
    ['fields that are interrupted', [frame(FRAME.headers, 0, 1), frame(FRAME.ping, 0, 0, Buffer.alloc(8))], 1],
    ['a continuation of nothing', [frame(FRAME.continuation, 4, 1)], CODE.protocolError],
    ['fields that cannot be read', [callFrame(1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff))], CODE.compressionError],
    ['fields without an end', [frame(1, 0, 1), ...Array(9).fill(frame(9, 0, 1))], CODE.enhanceYourCalm],
    ['fields over many frames', [frame(1, 0, 1), ...Array(3).fill(frame(9, 0, 1, Buffer.alloc(16_000)))], 11],
    ['a stream that depends on itself', [frame(1, 0x24, 1, Buffer.of(0, 0, 0, 1, 0))], CODE.protocolError],
    ['a window of more than 2^31', [numbersFrame(FRAME.windowUpdate, 0, 2 ** 31 - 1)], CODE.flowControlError],
    ['a window widened by nothing', [numbersFrame(FRAME.windowUpdate, 0, 0)], CODE.protocolError],
    ['an initial window of more', [settingsFrame([[SETTING.initialWindowSize, 2 ** 31]])], CODE.flowControlError],
    ['settings of half a size', [frame(FRAME.settings, 0, 0, Buffer.alloc(5))], CODE.frameSizeError],
    ['settings of a stream', [frame(FRAME.settings, 0, 1)], CODE.protocolError],
    ['a ping of seven bytes', [frame(FRAME.ping, 0, 0, Buffer.alloc(7))], CODE.frameSizeError],
    ['a push', [frame(FRAME.pushPromise, 4, 1, Buffer.alloc(4))], CODE.protocolError],
    ['a reset of a stream that never was', [numbersFrame(FRAME.reset, 7, CODE.cancel)], CODE.protocolError],
    ['filled longer than it is', [open, frame(FRAME.data, FLAG.padded, 1, Buffer.of(9, 0))], CODE.protocolError],
    ['empty data again and again', [open, ...Array(1_100).fill(frame(FRAME.data, 0, 1))], CODE.enhanceYourCalm],
    [
      'streams opened and reset at once',
      Array.from({ length: 1_100 }, (_, i) => [
        callFrame(2 * i + 1, callBlock(SAY, AUTHORIZED)),
        numbersFrame(FRAME.reset, 2 * i + 1, CODE.cancel),
      ]).flat(),
      CODE.enhanceYourCalm,
    ],
  ])('%s', async (_, frames, code) => {
    const peer = begin(...frames);
    await expect.poll(() => peer.codes(FRAME.goAway), { timeout: 5_000 }).toEqual([code]);
    await expect.poll(() => peer.closed, { timeout: 5_000 }).toBe(true);
    expect((await client.say(message('still there'))).message).toBe('you said still there');
  });

  test('what is no HTTP/2 is closed, and told why when it is HTTP/1', async () => {
    const [page, noise] = [new RawPeer(server.port), new RawPeer(server.port)];
    peers.push(page, noise);
    page.send(Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'));
    noise.send(Buffer.from('something else altogether'));
    await expect.poll(() => page.closed && noise.closed, { timeout: 5_000 }).toBe(true);
    expect(page.text).toMatch(/^HTTP\/1\.1 400 [\s\S]*gRPC, over HTTP\/2/);
    expect(noise.text).toBe('');
  });
});

describe('a stream ends with a code', () => {
  const withField = (name: string, value: string) =>
    callFrame(1, Buffer.concat([callBlock(SAY, AUTHORIZED), fieldBlock(false, [[name, value]])]));
  test.each<[string, Buffer[], number]>([
    ['a name in capitals', [withField('Name', 'x')], CODE.protocolError],
    ['a field of connections', [withField('connection', 'close')], CODE.protocolError],
    ['a path twice', [withField(':path', '/a')], CODE.protocolError],
    ['no path', [callFrame(1, fieldBlock(false, [[':method', 'POST']]))], CODE.protocolError],
    [
      'more data than were allowed',
      [
        callFrame(1, callBlock(ProbeService.sum.path, AUTHORIZED)),
        ...Array(40).fill(
          frame(FRAME.data, 0, 1, Buffer.concat([Buffer.of(0, 0, 0, 0x3f, 0xfb), Buffer.alloc(16_379)])),
        ),
      ],
      CODE.flowControlError,
    ],
    ['data after the end', [call(1, 'linger'), frame(FRAME.data, 0, 1, Buffer.alloc(1))], CODE.streamClosed],
  ])('%s', async (_, frames, code) => {
    const peer = begin(...frames);
    await expect.poll(() => peer.codes(FRAME.reset)[0], { timeout: 5_000 }).toBe(code);
    peer.send(call(101, 'next'));
    await answered(peer, 101);
  });

  test('the thousand and first at once is refused', async () => {
    const peer = begin(...Array.from({ length: 1_001 }, (_, i) => callFrame(2 * i + 1, callBlock(SAY, AUTHORIZED))));
    await expect.poll(() => peer.codes(FRAME.reset), { timeout: 5_000 }).toEqual([CODE.refusedStream]);
  });
});

describe('what is allowed', () => {
  test('unknown frames, pings, priorities, padding, fields over several frames, bytes one by one', async () => {
    const block = callBlock(SAY, AUTHORIZED);
    const padded = Buffer.concat([Buffer.of(3, 0, 0, 0, 0, 16), block.subarray(0, 20), Buffer.alloc(3)]);
    const peer = begin(frame(0x42, 0, 9, Buffer.alloc(3)), frame(FRAME.ping, 0, 0, Buffer.from('12345678')));
    peer.send(frame(FRAME.priority, 0, 99, Buffer.alloc(5)));
    peer.send(frame(FRAME.headers, FLAG.padded | FLAG.priority, 1, padded));
    peer.send(
      frame(FRAME.continuation, 0, 1, block.subarray(20, 40)),
      frame(9, FLAG.endHeaders, 1, block.subarray(40)),
    );
    for (const byte of messageFrame(1, encode('hello'))) {
      peer.send(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await answered(peer, 1);
    expect(peer.of(FRAME.ping)).toMatchObject([{ flags: FLAG.ack, payload: Buffer.from('12345678') }]);
  });

  test('an answer comes in pieces as large as the windows are', async () => {
    const peer = begin(settingsFrame([[SETTING.initialWindowSize, 10]]), call(1, 'large', 1_000));
    const sizes = () => peer.of(FRAME.data, 1).map(({ payload }) => payload.length);
    await expect.poll(sizes, { timeout: 5_000 }).toEqual([10]);
    peer.send(numbersFrame(FRAME.windowUpdate, 1, 90));
    await expect.poll(sizes, { timeout: 5_000 }).toEqual([10, 90]);
    peer.send(settingsFrame([[SETTING.initialWindowSize, 2_000]]));
    await answered(peer, 1);
    expect(sizes().reduce((a, b) => a + b)).toBe(5 + encode('y'.repeat(1_000)).length);
  });

  test('many large answers at once, and calls beside them', async () => {
    const sizes = Array.from({ length: 12 }, (_, i) => 3_000_000 + i);
    const answers = await Promise.all([
      ...sizes.map(async (size) => (await client.say(message('large', size))).message.length),
      client.say(message('beside')),
    ]);
    expect(answers.slice(0, -1)).toEqual(sizes);
  });

  test('what a caller had sent before it knew that it is refused', async () => {
    const upload = Array.from({ length: 5 }, () => frame(FRAME.data, 0, 0, Buffer.alloc(16_000)));
    const peer = begin();
    for (let id = 1; id < 1_000; id += 2) {
      const data = upload.map((bytes) =>
        Buffer.from(bytes)
          .fill(id >>> 8, 7, 8)
          .fill(id & 0xff, 8, 9),
      );
      peer.send(callFrame(id, callBlock(SAY, { authorization: 'Bearer another' })), ...data);
    }
    await expect.poll(() => peer.fields.size, { timeout: 5_000 }).toBe(500);
    peer.send(callFrame(999, fieldBlock(false, [['x', 'trailer']]), FLAG.endStream), call(1_001, 'a'));
    await answered(peer, 1_001);
    expect(new Set([...peer.fields.values()].map((fields) => fields[fields.indexOf('grpc-status') + 1]))).toEqual(
      new Set(['16', '0']),
    );
    expect(new Set(peer.codes(FRAME.reset))).toEqual(new Set([CODE.noError]));
  });

  test('a stream of more than the windows, to a handler that reads late', async () => {
    const requests = Array.from({ length: 2_000 }, () => message('x'.repeat(1_000), 1));
    expect((await client.sum(requests)).code).toBe(2_000);
  });

  test.each([1, 2])('compressed messages: %i', async (algorithm) => {
    const options = { 'grpc.default_compression_algorithm': algorithm } as const;
    const raw = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), options);
    const metadata = new Metadata();
    metadata.set('authorization', AUTHORIZED.authorization);
    const answer = await new Promise<Status | undefined>((resolve, reject) => {
      const done = (error: ServiceError | null, value?: Status) => (error === null ? resolve(value) : reject(error));
      const { requestSerialize, responseDeserialize } = ProbeService.say;
      raw.makeUnaryRequest(SAY, requestSerialize, responseDeserialize, message('x'.repeat(20_000)), metadata, done);
    });
    raw.close();
    expect(answer?.message).toBe('you said 20000');
  });
});

describe('what is no call of a method that is there', () => {
  test.each([
    ['another content type', callBlock(SAY, { 'content-type': 'text/html' }), /^:status 415 /],
    ['an unknown method', callBlock('/no.Service/Method'), /grpc-status 12 grpc-message The%20server%20does%20not/],
    ['too many fields', callBlock(SAY, { x: 'y'.repeat(16_200) }), /grpc-status 8 grpc-message The%20metadata/],
    ['a stream without a request', callBlock(ProbeService.count.path, AUTHORIZED), /grpc-status [1-9]/],
    ['an empty stream', callBlock(ProbeService.sum.path, AUTHORIZED), /grpc-status 0/],
    ['nothing, compressed', callBlock(SAY, { ...AUTHORIZED, 'grpc-encoding': 'gzip' }), /grpc-status [1-9]/],
    ['an unknown compression', callBlock(SAY, { ...AUTHORIZED, 'grpc-encoding': 'zip' }), /grpc-status 12 /],
    [
      'a deadline that is none',
      callBlock(SAY, { ...AUTHORIZED, 'grpc-timeout': 'soon' }),
      /grpc-status 3 grpc-message Metadata/,
    ],
  ])('%s is told, also when it is reset at once', async (_, block, expected) => {
    const peer = begin(callFrame(1, block, FLAG.endStream));
    await expect.poll(() => peer.fields.get(1)?.join(' '), { timeout: 5_000 }).toMatch(expected);
    begin(callFrame(1, block, FLAG.endStream), numbersFrame(FRAME.reset, 1, CODE.cancel));
    begin(callFrame(1, block, FLAG.endStream)).close();
    expect((await client.say(message('still there'))).message).toBe('you said still there');
  });

  test.each([
    ['no message', frame(FRAME.data, FLAG.endStream, 1), 12],
    ['half a message', frame(FRAME.data, FLAG.endStream, 1, Buffer.of(0, 0, 0, 0, 9, 1)), 12],
    ['two messages', frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(10)), 12],
    ['more than it says', frame(FRAME.data, FLAG.endStream, 1, Buffer.of(0, 0, 0, 0, 0, 7)), 12],
    ['compressed to more than is taken', compressed(Buffer.alloc(5_000_000)), 8],
    ['compressed in another way', compressed(Buffer.alloc(9), Buffer.of(1, 2, 3, 4)), 3],
    ['compressed, and says it is not', frame(FRAME.data, FLAG.endStream, 1, Buffer.of(1, 0, 0, 0, 0)), 13],
  ])('%s', async (_, data, code) => {
    const encoding: Record<string, string> = data[9] === 1 && code !== 13 ? { 'grpc-encoding': 'gzip' } : {};
    const peer = begin(callFrame(1, callBlock(SAY, { ...AUTHORIZED, ...encoding })), data);
    await expect.poll(() => peer.fields.get(1)?.join(' '), { timeout: 5_000 }).toMatch(`grpc-status ${code} `);
  });
});

test('whatever bytes come, others are answered', async () => {
  const types = fc.integer({ min: 0, max: 10 });
  const payload = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(callBlock(SAY, AUTHORIZED)));
  const any = fc.tuple(types, fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 9 }), payload);
  await fc.assert(
    fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 12 }), async (frames) => {
      const peer = begin(...frames.map(([type, flags, stream, bytes]) => frame(type, flags, stream, bytes)));
      expect((await client.say(message('beside'))).message).toBe('you said beside');
      peer.close();
    }),
    { numRuns: 300 },
  );
});

describe('the end', () => {
  test('calls under way are answered, those after it are not begun, then the connection closes', async () => {
    const other = makeServer();
    const peer = new RawPeer(await other.start());
    peers.push(peer);
    peer.send(BEGIN, call(1, 'linger'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stopped = other.stop(5_000);
    await expect.poll(() => peer.of(FRAME.goAway).map(({ payload }) => payload.readUInt32BE(0))).toEqual([1]);
    peer.send(call(3, 'late'));
    await answered(peer, 1);
    expect(await stopped).toBe('ended');
    expect([peer.closed, peer.fields.has(3), peer.codes(FRAME.goAway)]).toEqual([true, false, [CODE.noError]]);
  });

  test('what takes longer than it may is cut', async () => {
    const other = makeServer();
    const peer = new RawPeer(await other.start());
    peers.push(peer);
    peer.send(BEGIN, call(1, 'hang'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await other.stop(200)).toBe('cut');
    await expect.poll(() => peer.closed).toBe(true);
  });
});
