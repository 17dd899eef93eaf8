// Third process of the bare loop: what two stages must write at least. Per log frame, one MSET per stage with a 300-byte
// value for each customer in it. Reads nothing, decides nothing.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { decodeFrame } from '#lib/stream/frames.ts';
import { LogReader } from '#lib/stream/log-reader.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const STAGES = ['profile', 'segmentation'];
const value = Buffer.alloc(300, 'state');

const js = jetstream(await connect({ servers: given('NATS_URL') }));
const redis = new Redis(given('REDIS_URL'));
const source = { js, stream: BARE.log.name, filters: [BARE.log.subjects] };
const reader = new LogReader(source, 1, (error) => console.error(error));
let through = 0;
announce({}, () => through);

for (;;) {
  await reader.wait();
  const messages = reader.take(16);
  const writes: Promise<unknown>[] = [];
  for (const { data } of messages) {
    const customers = new Set(decodeFrame(data).records.map((record) => record.customerId));
    for (const stage of STAGES) {
      const args: (string | Buffer)[] = [];
      for (const id of customers) args.push(`bare:${stage}:${id}`, value);
      writes.push(redis.mset(...args));
    }
  }
  await Promise.all(writes);
  through = messages.at(-1)?.seq ?? through;
}
