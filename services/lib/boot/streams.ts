import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { nanos } from '@nats-io/transport-node';
import type { ServiceConfig, StreamLimits } from '#lib/config/config.ts';
import { JETSTREAM_CALL, untilAnswered } from '#lib/stream/jetstream.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { STREAMS } from '#lib/topology/topology.ts';
import { RefusalError } from './refusal.ts';

type Wanted = Partial<StreamConfig> & { name: string; subjects: string[] };

/** A stream of three replicas takes seconds to make where the machines have other work. */
const MAKE_MS = 5_000;

/** Kept as metadata of LOG, which is made once: what a cluster was created with is part of every record's place. */
const PARTITIONS_KEY = 'recur_partitions';
const CLOCK_KEY = 'recur_clock';
/** Set when the cluster was restored from a backup: when that was, ms. */
const RESTORED_KEY = 'recur_restored_ms';
/** Every number of partitions it ever had, oldest first, once that was changed. */
const LAYOUTS_KEY = 'recur_layouts';
/** Present while the number of partitions is being changed: how, so that it can be gone on with. */
const CHANGE_KEY = 'recur_repartition';

/**
 * Makes the streams that are not there yet and checks those that are.
 * @throws RefusalError when the cluster was created with other PARTITIONS or CLOCK, or a stream breaks a promise
 */
export async function ensureStreams(nats: NatsConnection, config: ServiceConfig, logger: Logger): Promise<void> {
  // A question to a cluster without a leader is never answered: it is asked again soon.
  await untilAnswered(() => jetstreamManager(nats, JETSTREAM_CALL), logger);
  const manager = await jetstreamManager(nats, { timeout: MAKE_MS, checkAPI: false });
  for (const wanted of wantedStreams(config)) {
    const info = await untilAnswered(() => ensure(manager, wanted), logger);
    checkStream(info.config, wanted, logger);
    if (wanted.name === STREAMS.log.name) checkCluster(info.config.metadata ?? {}, config);
  }
}

/** What a cluster says of itself. */
export interface ClusterFacts {
  readonly partitions: number;
  readonly clock: 'live' | 'event';
  /** Of LOG: what is before was removed by its limits. */
  readonly firstSeq: number;
  /** When it was restored from a backup, ms; 0: never. What it does not know of may have been done before. */
  readonly restoredMs: number;
  /** Every number of partitions it ever had, the present one last: older records are where they were written. */
  readonly layouts: readonly number[];
  /** A change of the number of partitions that is not finished, as whoever began it wrote it down. */
  readonly change: string | undefined;
}

/** @throws Error when there is no LOG made by us */
export async function clusterOf(manager: JetStreamManager): Promise<ClusterFacts> {
  const info = await find(manager, STREAMS.log.name);
  const metadata = info?.config.metadata ?? {};
  const { [PARTITIONS_KEY]: partitions, [CLOCK_KEY]: clock } = metadata;
  if (info === undefined || partitions === undefined || (clock !== 'live' && clock !== 'event'))
    throw new Error(`there is no stream ${STREAMS.log.name} of Recur at this NATS`);
  return {
    partitions: Number(partitions),
    clock,
    firstSeq: info.state.first_seq,
    restoredMs: Number(metadata[RESTORED_KEY] ?? 0),
    layouts: (metadata[LAYOUTS_KEY] ?? partitions).split(',').map(Number),
    change: metadata[CHANGE_KEY],
  };
}

/** From here on no service starts, until the change is finished. */
export async function beginRepartition(manager: JetStreamManager, change: string): Promise<void> {
  await updateMetadata(manager, (metadata) => ({ ...metadata, [CHANGE_KEY]: change }));
}

/** The cluster has so many partitions now. */
export async function finishRepartition(manager: JetStreamManager, partitions: number): Promise<void> {
  await updateMetadata(manager, ({ [CHANGE_KEY]: _, ...metadata }) => ({
    ...metadata,
    [PARTITIONS_KEY]: String(partitions),
    [LAYOUTS_KEY]: `${metadata[LAYOUTS_KEY] ?? metadata[PARTITIONS_KEY]},${partitions}`,
  }));
}

async function updateMetadata(
  manager: JetStreamManager,
  change: (metadata: Record<string, string>) => Record<string, string>,
): Promise<void> {
  const { config } = await manager.streams.info(STREAMS.log.name);
  await manager.streams.update(STREAMS.log.name, { ...config, metadata: change(config.metadata ?? {}) });
}

/** Metadata of LOG in a cluster that comes from a backup. */
export const markRestored = (metadata: Record<string, string> | undefined, nowMs: number): Record<string, string> => ({
  ...metadata,
  [RESTORED_KEY]: String(nowMs),
});

function wantedStreams(config: ServiceConfig): Wanted[] {
  const { streamLimits: limits, streamReplicas: replicas } = config;
  const metadata = { [PARTITIONS_KEY]: String(config.partitions), [CLOCK_KEY]: config.clock };
  return [
    streamOf(STREAMS.ingest, limits.ingest, replicas),
    { ...streamOf(STREAMS.log, limits.log, replicas), metadata },
    streamOf(STREAMS.deadLetters, limits.deadLetters, replicas),
  ];
}

function streamOf(
  stream: { name: string; subjects: readonly string[] },
  limits: StreamLimits,
  replicas: number,
): Wanted {
  return {
    name: stream.name,
    subjects: [...stream.subjects],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // A full stream refuses, so that its writers hold back: nothing old is pushed out unread.
    discard: DiscardPolicy.New,
    max_bytes: limits.maxBytes,
    max_age: limits.maxAgeMs < 0 ? 0 : nanos(limits.maxAgeMs),
    num_replicas: replicas,
    duplicate_window: nanos(limits.maxAgeMs < 0 ? 120_000 : Math.min(120_000, limits.maxAgeMs)),
    // The last message of a subject is what a writer looks up first.
    allow_direct: true,
  };
}

async function ensure(manager: JetStreamManager, wanted: Wanted): Promise<StreamInfo> {
  const existing = await find(manager, wanted.name);
  if (existing !== undefined) return existing;
  try {
    return await manager.streams.add(wanted);
  } catch (error) {
    // Another service, with other settings, was faster.
    const made = await find(manager, wanted.name);
    if (made !== undefined) return made;
    throw error;
  }
}

async function find(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  }
}

function checkStream(have: StreamConfig, wanted: Wanted, logger: Logger): void {
  const must = ['storage', 'retention', 'discard', 'allow_direct'] as const;
  for (const key of must) {
    if (have[key] !== wanted[key]) {
      throw new RefusalError(`stream ${have.name} has ${key} ${have[key]}, it must be ${wanted[key]}`);
    }
  }
  const missing = wanted.subjects.filter((subject) => !have.subjects.includes(subject));
  if (missing.length > 0) throw new RefusalError(`stream ${have.name} does not take ${missing.join(', ')}`);
  // Limits belong to who operates the cluster; a service with other settings must not change them under the others.
  for (const key of ['max_bytes', 'max_age', 'num_replicas'] as const) {
    if (have[key] !== wanted[key]) {
      logger.warn(
        { stream: have.name, setting: key, is: have[key], configured: wanted[key] },
        'stream keeps its setting',
      );
    }
  }
}

function checkCluster(metadata: Record<string, string>, config: ServiceConfig): void {
  if (metadata[CHANGE_KEY] !== undefined)
    throw new RefusalError('the number of partitions is being changed: let npm run repartition finish first');
  const created = { PARTITIONS: metadata[PARTITIONS_KEY], CLOCK: metadata[CLOCK_KEY] };
  const now = { PARTITIONS: String(config.partitions), CLOCK: config.clock };
  for (const name of ['PARTITIONS', 'CLOCK'] as const) {
    if (created[name] === now[name]) continue;
    throw new RefusalError(
      `this cluster was created with ${name}=${created[name] ?? '(nothing)'}, now it is ${now[name]}: ` +
        (name === 'PARTITIONS'
          ? 'set it back; npm run repartition changes it'
          : 'it cannot be changed: set it back, or create a new cluster and import the history'),
    );
  }
}
