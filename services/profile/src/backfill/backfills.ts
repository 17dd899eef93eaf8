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
/** Partitions filled at a time, of whatever trait: most of the time is waiting for analytics. */
const AT_ONCE = 4;

/** Sees to it that computed traits are filled from history in the partitions of this replica. */
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
    const warn = (trait: ComputedTrait) => (error: unknown) => {
      if (!this.#stopped) logger.warn({ err: error, trait: trait.id }, 'back-fill waits, will go on');
    };
    const open: Work[] = [];
    for (const trait of traits()) open.push(...(await this.#open(trait).catch((error) => warn(trait)(error) ?? [])));
    const next = open.values();
    const worker = async () => {
      for (const { trait, partition } of next) {
        if (!this.#stopped) await this.#fill(trait, partition).catch(warn(trait));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  /** Partitions of this replica in which the trait can, and must, be filled. */
  async #open(trait: ComputedTrait): Promise<Work[]> {
    const { partitions, knowledge } = this.#options;
    const open: Work[] = [];
    for (const partition of partitions()) {
      const key = keyOf(trait, partition);
      if (this.#done.has(key)) continue;
      if (await knowledge.complete(trait, partition)) this.#done.add(key);
      else open.push({ trait, partition });
    }
    if (open.length === 0 || (await knowledge.knownEverywhere(trait))) return open;
    setTimeout(() => this.wake(), SOON_MS).unref();
    return [];
  }

  async #fill(trait: ComputedTrait, partition: number): Promise<void> {
    const started = performance.now();
    await this.#fillOne(partition, trait);
    this.#done.add(keyOf(trait, partition));
    const ms = Math.round(performance.now() - started);
    this.#options.logger.info({ trait: trait.id, partition, ms }, 'computed trait filled from history');
  }

  async #fillOne(partition: number, trait: ComputedTrait): Promise<void> {
    try {
      await fillPartition(partition, trait, this.#options);
    } catch (error) {
      // Whoever overtook this job finishes it; if not, the next look does.
      if (!(error instanceof OvertakenError)) throw error;
    }
  }
}

interface Work {
  readonly trait: ComputedTrait;
  readonly partition: number;
}

const keyOf = (trait: ComputedTrait, partition: number): string =>
  `${trait.id}/${trait.basis || trait.revision}/${partition}`;
