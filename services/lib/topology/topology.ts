/**
 * Streams, subjects, stages, ports and calls: data only, the one place that names them. Code, manifests and pictures are
 * derived from this file.
 */

/** Stages of the log: each (stage, partition) has one owner at a time. */
export const STAGES = ['identity', 'profile', 'segmentation', 'journey', 'messaging', 'analytics'] as const;
export type StageName = (typeof STAGES)[number];

export const SERVICES = ['ingest', ...STAGES] as const;
export type ServiceName = (typeof SERVICES)[number];

export const STREAMS = {
  /** Events before One-ID, by lane. */
  ingest: { name: 'INGEST', subjects: ['ingest.*'] },
  /** Everything about customers, by partition, in one agreed order. */
  log: { name: 'LOG', subjects: ['log.>'] },
  deadLetters: { name: 'DEAD_LETTERS', subjects: ['dead.>'] },
} as const;

/**
 * One lane: identity's graph is a fold of one totally ordered input, so a rebuild gives the same customers.
 * See docs/decisions/0002-one-identity-lane.md.
 */
export const LANE = 0;

/** Kinds of subjects in a partition. The last token of `log.<partition>.<kind>`. */
export type LogKind =
  | 'event'
  | 'profile'
  | 'segment'
  | 'step'
  | 'delivery'
  | 'outcome'
  | 'tick'
  | 'definition'
  | 'handover';

export const subjects = {
  ingest: (lane: number) => `ingest.${lane}`,
  /** Written by one stage only, in order. */
  log: (partition: number, kind: LogKind) => `log.${partition}.${kind}`,
  /** A definition of `stage` that takes effect at this point of the partition's log. */
  definition: (partition: number, stage: StageName) => `log.${partition}.definition.${stage}`,
  /** States handed from one partition to another after a merge. */
  handover: (partition: number, stage: StageName, from: number | '*') => `log.${partition}.handover.${stage}.${from}`,
  /** What history gives for a definition of `stage`, written by one job in order; `basis`: revision of its computation. */
  history: (partition: number, stage: StageName, id: string, basis: number) =>
    `log.${partition}.handover.${stage}.history-${id}-${basis}`,
  deadLetter: (stage: StageName, partition: number) => `dead.${stage}.${partition}`,
};

export type KeyedStageName = Exclude<StageName, 'identity' | 'analytics'>;

export interface StageWiring {
  /** The stage whose output it waits for and merges in, so that results do not depend on who is faster. */
  readonly upstream?: StageName;
  /** The one kind it writes. */
  readonly output: LogKind;
  /** Has work pending outside, and reads what became of it. */
  readonly outcomes?: true;
}

/**
 * Every keyed stage steps through the same item subjects of its partition (itemSubjects), and acts on events, ticks, and its
 * own definitions and handovers; a stage with work pending outside reads its outcomes as well. identity reads a lane of INGEST instead and writes `event`; analytics reads
 * everything of a partition.
 */
export const WIRING: Record<KeyedStageName, StageWiring> = {
  profile: { output: 'profile' },
  segmentation: { upstream: 'profile', output: 'segment' },
  journey: { upstream: 'segmentation', output: 'step' },
  messaging: { upstream: 'journey', output: 'delivery', outcomes: true },
};

export const itemSubjects = (partition: number, stage: KeyedStageName): string[] => [
  `log.${partition}.event`,
  `log.${partition}.tick`,
  `log.${partition}.definition.*`,
  `log.${partition}.handover.*.*`,
  ...(WIRING[stage].outcomes ? [subjects.log(partition, 'outcome')] : []),
];

/** Ports in a pod and of Services. A local cluster has its own (tools/cluster/roles.ts). */
export const PORTS = {
  ingestHttp: 8080,
  clickhouseHttp: 8123,
  grpc: {
    ingest: 50051,
    identity: 50052,
    profile: 50053,
    segmentation: 50054,
    journey: 50055,
    messaging: 50056,
    analytics: 50057,
  },
} as const;

/** Who calls whom by gRPC inside the cluster. */
export const CALLS: readonly { readonly from: ServiceName; readonly to: ServiceName; readonly why: string }[] = [
  { from: 'identity', to: 'analytics', why: 'what was decided about a customer, and why' },
  { from: 'journey', to: 'identity', why: 'whether customers asked for exist' },
  { from: 'journey', to: 'segmentation', why: 'members of the segment of a broadcast' },
  { from: 'journey', to: 'analytics', why: 'what was recorded of a customer in a journey' },
  { from: 'segmentation', to: 'identity', why: 'whose identifier somebody puts on a list' },
  { from: 'segmentation', to: 'profile', why: 'computed traits that count events for rules' },
  { from: 'profile', to: 'identity', why: 'whose identifier this is' },
  { from: 'profile', to: 'analytics', why: 'timeline; history that fills new computed traits' },
  { from: 'profile', to: 'segmentation', why: '360° view: segments, RFM class, lifecycle stage' },
  { from: 'profile', to: 'journey', why: '360° view: journeys now in' },
  { from: 'profile', to: 'messaging', why: '360° view: messages received' },
];

/** Partition of a customer: FNV-1a of the id, the same in every service and language. */
export function partitionOf(customerId: string, partitions: number): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < customerId.length; i++) h = Math.imul(h ^ customerId.charCodeAt(i), 0x01000193);
  return (h >>> 0) % partitions;
}

/**
 * Partitions in which older records of the customers of this one may be, when a cluster had other numbers of partitions before. The
 * remainder a hash leaves is the same for every number that divides all of them.
 * @param layouts every number of partitions there was, the present one too
 */
export function partitionsOver(partition: number, layouts: readonly number[]): number[] {
  const divisor = layouts.reduce(greatestDivisor);
  const all = Array.from({ length: Math.max(...layouts) }, (_, p) => p);
  return layouts.length === 1 ? [partition] : all.filter((p) => p % divisor === partition % divisor);
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
