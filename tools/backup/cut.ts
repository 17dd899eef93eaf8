import { setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import { Redis } from 'ioredis';
import { decodeFrame } from '#lib/stream/frames.ts';
import { LEASE_MS } from '#lib/stream/lease.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';

/**
 * A place at which both streams fit together: every event up to `ingest` is in LOG, up to `log`, and none after it. What is beyond is left
 * out at a restore. Else identity would take events of INGEST up once more, write them at another place and time of LOG, and
 * all that follows from them would be new: mails that went out already among it.
 */
export interface Cut {
  readonly log: number;
  readonly ingest: number;
}

const LOOK_MS = 5;
/** Identity stands between two batches many times a second. */
const PATIENCE_MS = 60_000;
/** Longer than the lease of somebody who went silent: by then another one is there, or there is none. */
const NOBODY_MS = LEASE_MS + 1_000;

/** How far INGEST goes now: an event that is acknowledged is there. */
export async function acknowledged(manager: JetStreamManager): Promise<number> {
  return (await manager.streams.info(STREAMS.ingest.name)).state.last_seq;
}

/**
 * Waits until identity has told LOG of everything up to `from`, and looks for a moment between two of its batches.
 * @returns undefined when there is none: identity does not run, or lags far behind
 */
export async function findCut(
  manager: JetStreamManager,
  redisUrl: string,
  { from, partitions }: { from: number; partitions: number },
): Promise<Cut | undefined> {
  const redis = new Redis(redisUrl);
  try {
    let alive = Date.now();
    for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await sleep(LOOK_MS)) {
      if ((await redis.exists(`${stageTag('identity', LANE)}:lease`)) === 1) alive = Date.now();
      // In this order. What identity has committed it has told LOG before, so it is in what LOG has now …
      const ingest = await committed(redis);
      if (ingest < from && Date.now() - alive > NOBODY_MS) return undefined;
      if (ingest < from) continue;
      const { state } = await manager.streams.info(STREAMS.log.name);
      // … and when nothing newer is told even now, there was nothing newer then.
      if ((await told(manager, partitions)) <= ingest) return { log: state.last_seq, ingest };
    }
    return undefined;
  } finally {
    redis.disconnect();
  }
}

async function committed(redis: Redis): Promise<number> {
  const text = await redis.get(`${stageTag('identity', LANE)}:position`);
  return text === null ? 0 : (JSON.parse(text) as { seq: number }).seq;
}

/** Up to where of INGEST the events of LOG go. */
async function told(manager: JetStreamManager, partitions: number): Promise<number> {
  const last = await Promise.all(
    Array.from({ length: partitions }, async (_, p) => {
      const subject = { last_by_subj: subjects.log(p, 'event') };
      const message = await manager.streams.getMessage(STREAMS.log.name, subject);
      return message === null ? 0 : decodeFrame(message.data).throughSeq;
    }),
  );
  return Math.max(0, ...last);
}

/** Takes what is beyond the cut out of a stream just restored. Its sequences are not given again. */
export async function cutOff(manager: JetStreamManager, stream: string, after: number): Promise<number> {
  const { state } = await manager.streams.info(stream, { deleted_details: true });
  const gone = new Set(state.deleted ?? []);
  const beyond: number[] = [];
  for (let seq = Math.max(after + 1, state.first_seq); seq <= state.last_seq; seq++)
    if (!gone.has(seq)) beyond.push(seq);
  for (let i = 0; i < beyond.length; i += TOGETHER)
    await Promise.all(beyond.slice(i, i + TOGETHER).map((seq) => manager.streams.deleteMessage(stream, seq, false)));
  return beyond.length;
}

const TOGETHER = 64;
