import { SERVICES, type ServiceName } from '#tools/cluster/roles.ts';

/** Every kind of harm there is, in the words of the table. */
export const FAULTS = [
  ...SERVICES.map((service) => `kill ${service}` as const),
  'pause service',
  'kill all nats',
  'kill nats leader',
  'pause nats leader',
  'restart redis',
  'redis loses a second',
  'clickhouse refuses',
  'clickhouse is slow',
  'kill clickhouse',
  'nats disk full',
  'redis disk full',
  'clock jumps',
  'partition',
  'packet loss',
  'poison',
  'burst',
] as const;
export type FaultName = (typeof FAULTS)[number];

/**
 * NATS servers that lose a leader wait 4 to 9 s before they vote (nats-server's election time-outs, which nobody can set), and a server
 * that starts anew has to be in the group first. Until then there is nobody who could acknowledge anything: how long that was is
 * measured, and the time of recovery begins when it is over.
 */
export const VOTED: ReadonlySet<FaultName> = new Set([
  'kill all nats',
  'kill nats leader',
  'pause nats leader',
  'nats disk full',
]);
/** Stages whose ways to the stores can be cut. */
export const CUTTABLE = ['profile', 'segmentation', 'journey', 'messaging'] as const;

export interface Plan {
  readonly seed: number;
  readonly order: readonly FaultName[];
  /** Who is paused, whose clock jumps, whose network breaks. */
  readonly paused: ServiceName;
  readonly jumping: ServiceName;
  readonly cut: (typeof CUTTABLE)[number];
  readonly random: () => number;
}

/** The same seed, the same plan: order, victims and every other draw. */
export function planOf(seed: number, only: readonly FaultName[] = FAULTS): Plan {
  const random = mulberry32(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const left = [...only];
  const order: FaultName[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return { seed, order, paused: pick(SERVICES), jumping: pick(SERVICES), cut: pick(CUTTABLE), random };
}

function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
