// Third process of the bare loop: what four keyed stages must do at least. Each reads the log for itself; three of them write,
// per frame, one 300-byte value for each customer in it with one MSET. Reads no state, decides nothing.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { decodeFrame } from '#lib/stream/frames.ts';
import { LogReader } from '#lib/stream/log-reader.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const STAGES = [
  { name: 'profile', writes: true },
  { name: 'segmentation', writes: true },
  { name: 'journey', writes: true },
  { name: 'messaging', writes: false },
];
const value = Buffer.alloc(300, 'state');

const js = jetstream(await connect({ servers: given('NATS_URL') }));
const redis = new Redis(given('REDIS_URL'));
const through = STAGES.map(() => 0);
announce({}, () => Math.min(...through));
await Promise.all(STAGES.map(run));

async function run({ name, writes }: (typeof STAGES)[number], at: number): Promise<never> {
  const source = { js, stream: BARE.log.name, filters: [BARE.log.subjects] };
  const reader = new LogReader(source, 1, (error) => console.error(error));
  for (;;) {
    await reader.wait();
    const messages = reader.take(16);
    const written: Promise<unknown>[] = [];
    for (const { data } of messages) {
      const customers = new Set(decodeFrame(data).records.map((record) => record.customerId));
      const args: (string | Buffer)[] = [];
      for (const id of customers) args.push(`bare:${name}:${id}`, value);
      if (writes) written.push(redis.mset(...args));
    }
    await Promise.all(written);
    through[at] = messages.at(-1)?.seq ?? through[at] ?? 0;
  }
}
