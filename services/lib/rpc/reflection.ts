import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import type { RpcError } from './errors.ts';
import type { Gate } from './gate.ts';
import { addLate, TWO_WAYS } from './late.ts';
import { toStatus } from './status-details.ts';

/**
 * Serves reflection (v1 and v1alpha) from buf's image, for callers with a good token. Built from ts-proto's definitions it
 * would list nothing.
 */
export function addReflection(server: Server, services: readonly string[], gate: Gate, image = findImage): void {
  for (const version of ['v1', 'v1alpha']) {
    addLate(server, {
      name: `grpc.reflection.${version}.ServerReflection`,
      methods: { ServerReflectionInfo: TWO_WAYS },
      load: async (registry) => {
        const { ReflectionService } = await import('@grpc/reflection');
        const definitions = { image: { fileDescriptorProtos: splitImage(image()) } };
        new ReflectionService(definitions as unknown as ConstructorParameters<typeof ReflectionService>[0], {
          services: [...services],
        }).addToServer(registry);
      },
      enter: (call) => {
        try {
          gate.authenticate(call);
        } catch (error) {
          throw toStatus(error as RpcError);
        }
      },
    });
  }
}

/** The files of a FileDescriptorSet (field 1), each as it is. */
function splitImage(image: Uint8Array): Buffer[] {
  const files: Buffer[] = [];
  const reader = new BinaryReader(image);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(type);
  }
  return files;
}

/** Beside the bundle (dist/<service>/image.binpb), or where `npm run gen` puts it. */
function findImage(): Uint8Array {
  const start = import.meta.dirname;
  for (let folder = start; ; folder = dirname(folder)) {
    for (const name of ['image.binpb', 'proto/gen/image.binpb']) {
      const path = join(folder, name);
      if (existsSync(path)) return readFileSync(path);
    }
    if (folder === dirname(folder)) throw new Error(`No image.binpb in ${start} or above: run "npm run gen".`);
  }
}
