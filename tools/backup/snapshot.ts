import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node';

/** JetStream's own snapshots, as `nats stream backup` makes them: the client library has no call for them. */
export interface StreamDescription {
  readonly config: { name: string; num_replicas?: number; metadata?: Record<string, string> } & Record<string, unknown>;
  readonly state: { messages: number; bytes: number; first_seq: number; last_seq: number } & Record<string, unknown>;
}

const CHUNK_BYTES = 128 * 1024;
const REQUEST_MS = 10_000;
/** Of silence, after which nothing more is expected. */
const SILENCE_MS = 30_000;
const ENDED = 204;

/** Writes a snapshot of a stream into a file. What is published meanwhile may be in it or not, in order and without gaps. */
export async function saveStream(nats: NatsConnection, name: string, file: string): Promise<StreamDescription> {
  const inbox = createInbox();
  const chunks = nats.subscribe(inbox);
  const out = createWriteStream(file, { flags: 'wx' });
  try {
    const description = await ask<StreamDescription>(nats, `$JS.API.STREAM.SNAPSHOT.${name}`, {
      deliver_subject: inbox,
      no_consumers: true,
      chunk_size: CHUNK_BYTES,
      jsck: true,
    });
    await within(
      SILENCE_MS,
      () => chunks.unsubscribe(),
      async (alive) => {
        for await (const chunk of chunks) {
          alive();
          if (chunk.data.length === 0) return ended(chunk, name);
          if (!out.write(chunk.data)) await once(out, 'drain');
          // The server sends no more than a window without an answer.
          chunk.respond();
        }
        throw new Error(`${name}: the snapshot broke off`);
      },
    );
    return description;
  } finally {
    chunks.unsubscribe();
    out.end();
    await once(out, 'close');
  }
}

/** Makes a stream that is not there from a snapshot: messages, sequences and times as they were. */
export async function loadStream(nats: NatsConnection, file: string, description: StreamDescription): Promise<void> {
  const { name } = description.config;
  const { deliver_subject: subject } = await ask<{ deliver_subject: string }>(
    nats,
    `$JS.API.STREAM.RESTORE.${name}`,
    description,
  );
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    const answer = await nats.request(subject, chunk as Buffer, { timeout: REQUEST_MS });
    if (answer.data.length > 0) refuse(answer, name);
  }
  refuse(await nats.request(subject, new Uint8Array(), { timeout: SILENCE_MS }), name);
}

async function ask<T>(nats: NatsConnection, subject: string, request: object): Promise<T> {
  return refuse(await nats.request(subject, JSON.stringify(request), { timeout: REQUEST_MS }), subject) as T;
}

/** What the server answers, unless it says no. */
function refuse(answer: Msg, what: string): unknown {
  const body = answer.json<{ error?: { description: string } }>();
  if (body.error !== undefined) throw new Error(`${what}: NATS says ${body.error.description}`);
  return body;
}

function ended(last: Msg, name: string): void {
  const { code = ENDED, description = '' } = last.headers ?? {};
  if (code !== ENDED && code !== 0) throw new Error(`${name}: the snapshot broke off: ${code} ${description}`);
}

/** Runs work that says again and again that it is alive; `stop` ends it when it does not. */
async function within(ms: number, stop: () => void, work: (alive: () => void) => Promise<void>): Promise<void> {
  let timer = setTimeout(stop, ms);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(stop, ms);
  };
  try {
    await work(alive);
  } finally {
    clearTimeout(timer);
  }
}
