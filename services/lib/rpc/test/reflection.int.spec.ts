import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SegmentationServiceService } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { unavailable } from '../errors.ts';
import { RpcServer } from '../server.ts';
import { type Handlers, rpcService } from '../service.ts';
import { ApiTokens } from '../tokens.ts';

const SERVICE = 'recur.segmentation.v1.SegmentationService';
const TOKEN = 'reflection-token';

let server: RpcServer;
let client: Client;

beforeAll(async () => {
  const nobody = Object.fromEntries(
    Object.keys(SegmentationServiceService).map((name) => [
      name,
      () => Promise.reject(unavailable('only looked at here')),
    ]),
  ) as unknown as Handlers<typeof SegmentationServiceService>;
  const services = [rpcService(SegmentationServiceService, nobody)];
  const tokens = new ApiTokens([{ token: TOKEN, name: 'developer', scopes: ['recur.nothing'] }]);
  server = new RpcServer({
    services,
    tokens,
    logger: pino({ level: 'silent' }),
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
  });
  client = new Client(`127.0.0.1:${await server.start()}`, credentials.createInsecure());
});
afterAll(async () => {
  client?.close();
  await server?.stop(1000);
});

/** One question of grpc.reflection.v1.ServerReflectionRequest; gives the field of the response that holds the answer. */
function ask(field: 4 | 7, text: string, version = 'v1', token = TOKEN): Promise<{ field: number; bytes: Uint8Array }> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const request = Buffer.from(
    new BinaryWriter()
      .uint32((field << 3) | 2)
      .string(text)
      .finish(),
  );
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    path,
    (value: Buffer) => value,
    (value) => value,
    metadata,
  );
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    call.on('data', (response: Buffer) => {
      const [answer] = fieldsOf(response).filter((one) => one.field >= 4);
      call.end();
      if (answer === undefined) reject(new Error('an empty answer'));
      else resolve(answer);
    });
    call.write(request);
  });
}

function fieldsOf(bytes: Uint8Array): { field: number; bytes: Uint8Array }[] {
  const reader = new BinaryReader(bytes);
  const fields: { field: number; bytes: Uint8Array }[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type === 2) fields.push({ field, bytes: reader.bytes() });
    else reader.skip(type);
  }
  return fields;
}

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  test('lists the services that are served', async () => {
    const answer = await ask(7, '*', version);
    expect(answer.field).toBe(6);
    const names = fieldsOf(answer.bytes).map(({ bytes }) => Buffer.from(fieldsOf(bytes)[0]?.bytes ?? []).toString());
    expect(names).toContain(SERVICE);
    expect(names.filter((name) => name.startsWith('recur.'))).toEqual([SERVICE]);
  });

  test('describes a service so that a client can call it', async () => {
    const answer = await ask(4, SERVICE, version);
    expect(answer.field).toBe(4);
    const file: FileDescriptorProto[] = fieldsOf(answer.bytes).map(({ bytes }) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const service = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(file) })).getService(SERVICE);
    expect(service?.methods.map(({ localName }) => localName).sort()).toEqual(
      Object.keys(SegmentationServiceService).sort(),
    );
  });

  test('needs a good token', async () => {
    const error = await ask(7, '*', version, 'wrong-token').catch((reason: ServiceError) => reason);
    expect((error as ServiceError).code).toBe(status.UNAUTHENTICATED);
  });
});

/** Every file after those it imports. */
function inOrder(files: FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const ordered = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto | undefined): void => {
    if (file === undefined || ordered.has(file)) return;
    for (const name of file.dependency) add(byName.get(name));
    ordered.add(file);
  };
  for (const file of files) add(file);
  return [...ordered];
}

describe('health', () => {
  /** grpc.health.v1.Health/Check without any token: 1 SERVING, 2 NOT_SERVING. */
  const check = (service: string): Promise<number | ServiceError> => {
    const request = Buffer.from(new BinaryWriter().uint32(10).string(service).finish());
    return new Promise((resolve) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (value: Buffer) => value,
        (value) => value,
        request,
        (error, answer) => {
          resolve(error ?? answer?.at(1) ?? 0);
        },
      );
    });
  };

  test('follows what the process says, without a token', async () => {
    expect(await check('')).toBe(2);
    server.setServing(true);
    expect(await check('')).toBe(1);
    expect(await check(SERVICE)).toBe(1);
    expect(((await check('recur.none.v1.None')) as ServiceError).code).toBe(status.NOT_FOUND);
    server.setServing(false);
    expect(await check(SERVICE)).toBe(2);
  });

  test('is watched and listed, as the library has it', async () => {
    const bytes = (value: Buffer) => value;
    const request = Buffer.from(new BinaryWriter().uint32(10).string(SERVICE).finish());
    const watching = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', bytes, bytes, request);
    const seen: (number | undefined)[] = [];
    const cancelled = new Promise<ServiceError>((resolve) => watching.on('error', resolve));
    await new Promise<void>((resolve) => {
      watching.on('data', (answer: Buffer) => {
        seen.push(answer.at(1));
        if (seen.length === 1) server.setServing(true);
        else resolve();
      });
    });
    expect(seen).toEqual([2, 1]);
    watching.cancel();
    expect((await cancelled).code).toBe(status.CANCELLED);
    const listed = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest('/grpc.health.v1.Health/List', bytes, bytes, Buffer.alloc(0), (error, answer) =>
        error ? reject(error) : resolve(answer as Buffer),
      );
    });
    expect(listed.toString()).toContain(SERVICE);
    const { service } = await import('grpc-health-check');
    expect(Object.keys(service).sort()).toEqual(['Check', 'List', 'Watch']);
    server.setServing(false);
  });
});
