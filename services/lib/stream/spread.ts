import { partitionOf } from '#lib/topology/topology.ts';

const weight = (partition: number, replica: string): number =>
  partitionOf(`${replica}#${partition}#${replica}`, 0x7fffffff);

/** @returns the owner of each partition: the replica with the highest hash for it. Adding or losing one moves only its share. */
export function rendezvous(partitions: number, replicas: readonly string[]): string[] {
  const sorted = [...replicas].sort();
  return Array.from({ length: partitions }, (_, p) =>
    sorted.reduce((best, each) => (weight(p, each) > weight(p, best) ? each : best), sorted[0] as string),
  );
}

/**
 * Rendezvous hashing with room for so many: every replica gets its share, give or take one, and the pairs of partition and
 * replica with the highest hashes come first. Everybody who knows the same replicas comes to the same result.
 * @param replicas at least one, in any order
 * @returns the owner of each partition
 */
export function spread(partitions: number, replicas: readonly string[]): string[] {
  const pairs = replicas.flatMap((replica) =>
    Array.from({ length: partitions }, (_, partition) => ({ partition, replica, weight: weight(partition, replica) })),
  );
  pairs.sort((a, b) => b.weight - a.weight || a.partition - b.partition || (a.replica < b.replica ? -1 : 1));
  const share = Math.floor(partitions / replicas.length);
  let oneMore = partitions % replicas.length;
  const owners = new Array<string>(partitions);
  const counts = new Map<string, number>();
  for (const { partition, replica } of pairs) {
    const count = counts.get(replica) ?? 0;
    if (owners[partition] !== undefined || count > share || (count === share && oneMore === 0)) continue;
    if (count === share) oneMore--;
    owners[partition] = replica;
    counts.set(replica, count + 1);
  }
  return owners;
}
