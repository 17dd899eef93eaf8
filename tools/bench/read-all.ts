import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type LogMessage, LogReader } from '#lib/stream/log-reader.ts';

/** Every message of these subjects there is now. */
export async function readAll(
  natsUrl: string,
  stream: string,
  filters: string[],
  take: (message: LogMessage) => void,
): Promise<void> {
  const nats = await connect({ servers: natsUrl });
  const { state } = await (await jetstreamManager(nats)).streams.info(stream, { subjects_filter: '>' });
  const matches = filters.map((f) => new RegExp(`^${f.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`));
  let left = Object.entries(state.subjects ?? {})
    .filter(([subject]) => matches.some((m) => m.test(subject)))
    .reduce((sum, [, n]) => sum + n, 0);
  const reader = new LogReader({ js: jetstream(nats), stream, filters }, 1, (error) => console.error(error));
  while (left > 0) {
    await reader.wait();
    for (const message of reader.take()) {
      take(message);
      left--;
    }
  }
  await reader.stop();
  await nats.close();
}
