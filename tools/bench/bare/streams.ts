import { DiscardPolicy, type JetStreamManager, StorageType } from '@nats-io/jetstream';

/** Streams of the bare loops, made as boot makes those of the services: files, and a full one refuses. */
export const BARE = {
  in: { name: 'BARE_IN', subject: 'bare.in' },
  log: { name: 'BARE_LOG', subject: (partition: number) => `barelog.${partition}`, subjects: 'barelog.*' },
} as const;

export async function makeBareStreams(jsm: JetStreamManager): Promise<void> {
  const kind = { storage: StorageType.File, discard: DiscardPolicy.New, allow_direct: true };
  await jsm.streams.add({ ...kind, name: BARE.in.name, subjects: [BARE.in.subject] });
  await jsm.streams.add({ ...kind, name: BARE.log.name, subjects: [BARE.log.subjects] });
}
