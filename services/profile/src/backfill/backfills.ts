import type { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { fillPartition, type JobDeps, OvertakenError } from './job.ts';

/** What the partitions know of the definitions; see store/in-force.ts. */
export interface Knowledge {
  /** Whether every partition of the cluster knows the trait as it is now: only then may one begin to count live. */
  knownEverywhere(trait: ComputedTrait): Promise<boolean>;
  /** Whether its history is complete in this partition. */
  complete(trait: ComputedTrait, partition: number): Promise<boolean>;
}

export interface BackfillOptions extends JobDeps {
  /** Partitions this replica owns now. */
  readonly partitions: () => readonly number[];
  readonly traits: () => readonly ComputedTrait[];
  readonly knowledge: Knowledge;
  readonly logger: Logger;
}

const LOOK_MS = 1_000;
/** Right after a change somebody waits for it. */
const SOON_MS = 50;
/** Partitions filled at a time. */
const AT_ONCE = 2;

/** Sees to it that computed traits are filled from history in the partitions of this replica, one trait after the other. */
export class Backfills {
  readonly #options: BackfillOptions;
  readonly #done = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BackfillOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(0);
  }

  /** A definition changed. */
  wake(): void {
    if (!this.#stopped && this.#looking === undefined) this.#schedule(SOON_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
        if (!this.#stopped) this.#schedule(LOOK_MS);
      });
    }, ms);
  }

  async #look(): Promise<void> {
    const { traits, logger } = this.#options;
    for (const trait of traits()) {
      if (this.#stopped) return;
      try {
        await this.#fill(trait);
      } catch (error) {
        if (!this.#stopped) logger.warn({ err: error, trait: trait.id }, 'back-fill waits, will go on');
      }
    }
  }

  async #fill(trait: ComputedTrait): Promise<void> {
    const { partitions, knowledge, logger } = this.#options;
    const basis = trait.basis || trait.revision;
    const key = (partition: number) => `${trait.id}/${basis}/${partition}`;
    const open: number[] = [];
    for (const partition of partitions()) {
      if (this.#done.has(key(partition))) continue;
      if (await knowledge.complete(trait, partition)) this.#done.add(key(partition));
      else open.push(partition);
    }
    if (open.length === 0 || !(await knowledge.knownEverywhere(trait))) {
      if (open.length > 0) this.#scheduleAgain();
      return;
    }
    const started = performance.now();
    const next = open.values();
    const worker = async () => {
      for (const partition of next) {
        if (this.#stopped) return;
        await this.#fillOne(partition, trait);
        this.#done.add(key(partition));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const ms = Math.round(performance.now() - started);
    logger.info({ trait: trait.id, basis, partitions: open, ms }, 'computed trait filled from history');
  }

  async #fillOne(partition: number, trait: ComputedTrait): Promise<void> {
    try {
      await fillPartition(partition, trait, this.#options);
    } catch (error) {
      // Whoever overtook this job finishes it; if not, the next look does.
      if (!(error instanceof OvertakenError)) throw error;
    }
  }

  #scheduleAgain(): void {
    setTimeout(() => this.wake(), SOON_MS).unref();
  }
}
