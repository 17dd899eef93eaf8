// Second process of the bare loop: reads the request frames, and publishes their records again, one frame per partition for
// all that was waiting.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { LogReader } from '#lib/stream/log-reader.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import { announce, given } from './child.ts';
import { BARE } from './streams.ts';

const js = jetstream(await connect({ servers: given('NATS_URL') }));
const partitions = Number(given('PARTITIONS'));
const source = { js, stream: BARE.in.name, filters: [BARE.in.subject] };
const reader = new LogReader(source, 1, (error) => console.error(error));
let through = 0;
announce({}, () => through);

/** Request frames it takes at a time. */
const MOST = 32;

for (;;) {
  await reader.wait();
  const messages = reader.take(MOST);
  const byPartition: LogRecord[][] = Array.from({ length: partitions }, () => []);
  for (const { data } of messages) {
    for (const record of decodeFrame(data).records) {
      (byPartition[partitionOf(record.customerId, partitions)] as LogRecord[]).push(record);
    }
  }
  const last = messages.at(-1)?.seq ?? through;
  await Promise.all(
    byPartition.map((records, p) =>
      records.length === 0
        ? undefined
        : js.publish(
            BARE.log.subject(p),
            encodeFrame({ throughSeq: last, ahead: 0, aheadSeq: 0, watermarkMs: 0, records }),
          ),
    ),
  );
  through = last;
}
