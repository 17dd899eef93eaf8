import type { StateWrite } from './partition-store.ts';
import type { Codec, Stored } from './processor.ts';
import { decodeEntry, type Entry } from './states.ts';

/** Customers kept decoded per partition between batches. */
const CAPACITY = 20_000;

interface StateSource {
  states(customerIds: readonly string[]): Promise<(Uint8Array | null)[]>;
}

/**
 * States in memory: those touched since the last commit, and the most recently used ones of earlier batches. Safe because the owner
 * is the only writer and everything is forgotten when that is in doubt.
 */
export class StateCache<S> {
  private readonly entries = new Map<string, Entry<S>>();
  private batch = new Set<string>();
  /** Touched since the last commit. */
  private readonly touched = new Set<string>();
  private readonly codec: Codec<S>;
  private readonly source: StateSource;

  constructor(codec: Codec<S>, source: StateSource) {
    this.codec = codec;
    this.source = source;
  }

  /** Makes sure these are in memory: one read for all that are not; `check` asks the source even when there are none. */
  async load(customerIds: Set<string>, check = false): Promise<void> {
    this.batch = customerIds;
    const missing: string[] = [];
    for (const id of customerIds) {
      this.touched.add(id);
      const known = this.entries.get(id);
      if (!known) missing.push(id);
      else {
        this.entries.delete(id);
        this.entries.set(id, known);
      }
    }
    if (missing.length === 0 && !check) return;
    const found = await this.source.states(missing);
    missing.forEach((id, i) => {
      this.entries.set(id, decodeEntry(found[i], this.codec));
    });
  }

  get(customerId: string): Entry<S> {
    const entry = this.entries.get(customerId);
    if (!entry) throw new Error('a batch touches only the customers it announced');
    return entry;
  }

  /** Forgets what the batch touched and reads it again; only right when nothing else awaits its commit. */
  async reload(): Promise<void> {
    for (const id of this.batch) this.entries.delete(id);
    await this.load(this.batch);
  }

  /** What is to be written: the states changed since the last commit. */
  dirty(store: (entry: Entry<S>) => Stored): StateWrite[] {
    const writes: StateWrite[] = [];
    for (const customerId of this.touched) {
      const entry = this.entries.get(customerId);
      if (!entry?.dirty) continue;
      const { bytes, kept } = store(entry);
      writes.push({ customerId, bytes, kept, fresh: entry.fresh });
    }
    return writes;
  }

  committed(): void {
    for (const id of this.touched) {
      const entry = this.entries.get(id);
      if (!entry?.dirty) continue;
      entry.dirty = false;
      entry.fresh = false;
    }
    this.touched.clear();
    for (const id of this.entries.keys()) {
      if (this.entries.size <= CAPACITY) break;
      this.entries.delete(id);
    }
  }
}
