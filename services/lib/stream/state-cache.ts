import type { StateWrite } from './commit-script.ts';
import type { Codec, Stored } from './processor.ts';
import { decodeEntry, type Entry } from './states.ts';

/** Customers kept decoded per partition between batches. */
const CAPACITY = 20_000;

interface StateSource {
  states(customerIds: readonly string[]): Promise<(Uint8Array | null)[]>;
}

/** A customer in memory. */
interface Slot<S> {
  readonly customerId: string;
  readonly entry: Entry<S>;
  /** Used since the last commit. */
  touched: boolean;
  /** Used again since its turn to be forgotten came last. */
  recent: boolean;
}

/**
 * States in memory: those touched since the last commit, and recently used ones of earlier batches. Safe because the owner is the only
 * writer and everything is forgotten when that is in doubt. Every record looks here, so using a customer only marks it: when there
 * are too many, those used again since they were looked at last are passed over once.
 */
export class StateCache<S> {
  private readonly slots = new Map<string, Slot<S>>();
  private batch: readonly string[] = [];
  private touched: Slot<S>[] = [];
  private readonly codec: Codec<S>;
  private readonly source: StateSource;
  private readonly capacity: number;

  constructor(codec: Codec<S>, source: StateSource, capacity = CAPACITY) {
    this.codec = codec;
    this.source = source;
    this.capacity = capacity;
  }

  /**
   * Makes sure these are in memory: one read for all that are not; `check` asks the source even when there are none.
   * @param customerIds of a batch; some may come several times
   */
  async load(customerIds: readonly string[], check = false): Promise<void> {
    this.batch = customerIds;
    let missing: Set<string> | undefined;
    for (const id of customerIds) {
      const known = this.slots.get(id);
      if (known) {
        known.recent = true;
        this.touch(known);
      } else {
        missing ??= new Set();
        missing.add(id);
      }
    }
    if (missing === undefined && !check) return;
    const ids = [...(missing ?? [])];
    const found = await this.source.states(ids);
    ids.forEach((customerId, i) => {
      const slot = { customerId, entry: decodeEntry(found[i], this.codec), touched: false, recent: false };
      this.slots.set(customerId, slot);
      this.touch(slot);
    });
  }

  private touch(slot: Slot<S>): void {
    if (slot.touched) return;
    slot.touched = true;
    this.touched.push(slot);
  }

  get(customerId: string): Entry<S> {
    const slot = this.slots.get(customerId);
    if (!slot) throw new Error('a batch touches only the customers it announced');
    return slot.entry;
  }

  /** Forgets what the batch touched and reads it again; only right when nothing else awaits its commit. */
  async reload(): Promise<void> {
    for (const id of this.batch) this.slots.delete(id);
    this.touched = [];
    await this.load(this.batch);
  }

  /** What is to be written: the states changed since the last commit. */
  dirty(store: (entry: Entry<S>) => Stored): StateWrite[] {
    const writes: StateWrite[] = [];
    for (const { customerId, entry } of this.touched) {
      if (!entry.dirty) continue;
      const { bytes, kept } = store(entry);
      writes.push({ customerId, bytes, kept, fresh: entry.fresh });
    }
    return writes;
  }

  committed(): void {
    for (const slot of this.touched) {
      const { entry } = slot;
      slot.touched = false;
      if (!entry.dirty) continue;
      entry.dirty = false;
      entry.fresh = false;
    }
    this.touched = [];
    for (const [id, slot] of this.slots) {
      if (this.slots.size <= this.capacity) break;
      this.slots.delete(id);
      if (!slot.recent) continue;
      slot.recent = false;
      this.slots.set(id, slot);
    }
  }
}
