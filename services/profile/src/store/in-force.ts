import type { Redis } from 'ioredis';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import type { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { Knowledge } from '../backfill/backfills.ts';
import { KINDS, readyRevision } from '../core/plan.ts';

/** What each partition has in force, as it committed it. */
export class InForceReader implements Knowledge {
  readonly #redis: Redis;
  readonly #partitions: number;

  constructor(redis: Redis, partitions: number) {
    this.#redis = redis;
    this.#partitions = partitions;
  }

  async knownEverywhere({ id, revision }: ComputedTrait): Promise<boolean> {
    const known = await this.#revisions(KINDS.computedTrait, id);
    return known.every((one) => one >= revision);
  }

  async complete(trait: ComputedTrait, partition: number): Promise<boolean> {
    return (await this.#revision(KINDS.backfill, trait.id, partition)) === readyRevision(trait.basis || trait.revision);
  }

  async progress(trait: ComputedTrait): Promise<{ completePartitions: number; partitions: number }> {
    const ready = readyRevision(trait.basis || trait.revision);
    const found = await this.#revisions(KINDS.backfill, trait.id);
    return { completePartitions: found.filter((one) => one === ready).length, partitions: this.#partitions };
  }

  #revisions(kind: string, id: string): Promise<number[]> {
    return Promise.all(Array.from({ length: this.#partitions }, (_, partition) => this.#revision(kind, id, partition)));
  }

  async #revision(kind: string, id: string, partition: number): Promise<number> {
    const bytes = await this.#redis.hgetBuffer(`${stageTag('profile', partition)}:d`, `${kind}/${id}`);
    return bytes === null ? 0 : Definition.decode(bytes).revision;
  }
}
