import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { bucketOf } from './ids.ts';

/** Revisions kept of each definition. */
export const HISTORY = 16;

/** Bytes of one stored definition; NATS takes messages up to 1 MB. */
export const MAX_VALUE_BYTES: number = 512 * 1024;

/** Opens the bucket of a kind, and makes it when it is not there. */
export async function openBucket(nats: NatsConnection, kind: string, replicas: number): Promise<KV> {
  const options = {
    history: HISTORY,
    replicas,
    maxValueSize: MAX_VALUE_BYTES,
    // Read from the stream's leader: whoever has just written must see what he wrote.
    allow_direct: false,
  };
  const kvm = new Kvm(nats);
  try {
    return await kvm.create(bucketOf(kind), options);
  } catch {
    // Two services made it at the same moment, and not alike: the second look finds it.
    return await kvm.create(bucketOf(kind), options);
  }
}
