import type { JetStreamManager } from '@nats-io/jetstream';
import { decodeFrame } from '#lib/stream/frames.ts';
import type { PartitionStore } from '#lib/stream/partition-store.ts';
import { itemSubjects, type KeyedStageName, STREAMS, subjects, WIRING } from '#lib/topology/topology.ts';

export const KEYED = Object.keys(WIRING) as KeyedStageName[];

/** What a partition of a stage has in Redis besides states and timers. */
export type Loaded = Awaited<ReturnType<PartitionStore['load']>>;

/** By `${stage}.${partition}`. */
export type AllLoaded = ReadonlyMap<string, Loaded>;

interface Place {
  readonly manager: JetStreamManager;
  readonly partitions: number;
  /** How far identity has committed its input. */
  readonly laneSeq: number;
}

/**
 * What is under way: records of the log a stage has not read, sends that are open, definitions not everybody has heard of. All of it
 * belongs to a partition and would be looked for in another one. Empty when there is nothing.
 */
export async function openWork(place: Place, loaded: AllLoaded): Promise<string[]> {
  const open: string[] = [];
  for (let p = 0; p < place.partitions; p++) {
    const last = await lastOf(place.manager, p);
    for (const stage of KEYED) open.push(...openIn(stage, p, loaded.get(`${stage}.${p}`) as Loaded, last));
    const told = last.get(subjects.log(p, 'event'));
    const message = told === undefined ? null : await place.manager.streams.getMessage(STREAMS.log.name, { seq: told });
    const through = message === null ? 0 : decodeFrame(message.data).throughSeq;
    if (through > place.laneSeq)
      open.push(`identity has told partition ${p} of ${through} and committed ${place.laneSeq}`);
  }
  open.push(...unequalDefinitions(place.partitions, loaded), ...(await unreadByOthers(place.manager)));
  return open;
}

function openIn(
  stage: KeyedStageName,
  p: number,
  { position, sweeps, pending }: Loaded,
  last: ReadonlyMap<string, number>,
) {
  const who = `${stage}.${p}`;
  const patterns = itemSubjects(p, stage).map(
    (subject) => new RegExp(`^${subject.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`),
  );
  const items = [...last].filter(([subject]) => patterns.some((pattern) => pattern.test(subject)));
  const end = Math.max(0, ...items.map(([, seq]) => seq));
  const open: string[] = [];
  if (position.seq < end || position.steps > 0 || position.emitted > 0)
    open.push(`${who} is at ${position.seq} of ${end}`);
  if (sweeps.length > 0) open.push(`${who} tells customers of a changed definition`);
  if (pending.length > 0) open.push(`${who} has ${pending.length} sends open`);
  return open;
}

/** Sequence of the last message of every subject of a partition. */
async function lastOf(manager: JetStreamManager, partition: number): Promise<Map<string, number>> {
  const { state } = await manager.streams.info(STREAMS.log.name, { subjects_filter: `log.${partition}.>` });
  const last = new Map<string, number>();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const message = await manager.streams.getMessage(STREAMS.log.name, { last_by_subj: subject });
    last.set(subject, message?.seq ?? 0);
  }
  return last;
}

/** A partition that has not heard of a change is to hear of it; a trait that is being filled is filled partition by partition. */
function unequalDefinitions(partitions: number, loaded: AllLoaded): string[] {
  const text = (stage: KeyedStageName, p: number) =>
    (loaded.get(`${stage}.${p}`) as Loaded).definitions
      .map(({ kind, id, revision }) => `${kind}/${id}@${revision}`)
      .sort()
      .join();
  return KEYED.filter((stage) =>
    Array.from({ length: partitions }, (_, p) => p).some((p) => text(stage, p) !== text(stage, 0)),
  ).map((stage) => `definitions of ${stage} are not the same in all partitions`);
}

/** What reads the log by a consumer that is kept, as the relay of journeys does. */
async function unreadByOthers(manager: JetStreamManager): Promise<string[]> {
  const open: string[] = [];
  for await (const { config, num_pending: pending, num_ack_pending: taken } of manager.consumers.list(STREAMS.log.name))
    if (config.durable_name !== undefined && pending + taken > 0)
      open.push(`${config.durable_name} has ${pending + taken} to read`);
  return open;
}
