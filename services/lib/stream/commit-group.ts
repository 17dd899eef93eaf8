import type { TraceContext } from '#lib/telemetry/trace.ts';
import type { BatchResult, Position, Sweep } from './batch.ts';
import type { ActiveDefinition, PendingWork } from './processor.ts';
import { before, type DueTimer } from './timers.ts';

/** Steps, and time, after which a group is committed though more is waiting: what a crash makes the next owner compute again. */
const MAX_STEPS = 16_384;
const MAX_MS = 250;
/** The same with outside work of an earlier owner among it: that is begun after the commit, and a customer waits for it. */
const MAX_WORK_MS = 10;
/**
 * How long a group waits for more at most when none is there, ms: what a reader of states is behind. Until the next multiple of it, so
 * that the partitions of a process commit in one go: a process that is woken for every one costs more than the commits.
 */
const LINGER_MS = 20;

/** What a commit writes besides states. */
export type Commit = Pick<BatchResult, 'timers' | 'pending' | 'definitions' | 'position'> & {
  readonly sweeps: readonly Sweep[];
};

/**
 * Batches that are published and not yet committed: committed together, a customer's state is encoded and written once for
 * all of them. Nobody waits for a commit but readers of states, and outside work that may have been begun before: whether it has
 * ended, too, the next records tell. New work is begun when it is published (`freshWork`): a crash before the commit costs computing it
 * again, and it is found in the log then, as work that may have been begun.
 */
export class CommitGroup implements Commit {
  readonly timers = new Map<string, number | null>();
  readonly pending = new Map<string, { customerId: string; bytes: Uint8Array } | null>();
  readonly definitions: ActiveDefinition[] = [];
  sweeps: readonly Sweep[] = [];
  position: Position;
  /** A timer fired or was cancelled: which is the next one only the store can tell. */
  timersGone = false;
  /** Pending work that may have been begun before, with the trace it belongs to. */
  private readonly recovered = new Map<string, TraceContext | undefined>();
  private steps = 0;
  private batches = 0;
  private since = 0;

  constructor(position: Position) {
    this.position = position;
  }

  get empty(): boolean {
    return this.batches === 0;
  }

  /** `recovered`: some of the batch had been published before, so its work may have been begun before. */
  add(result: BatchResult, steps: number, recovered: boolean, now: number, trace?: TraceContext): void {
    if (this.empty) this.since = now;
    this.batches++;
    this.steps += steps;
    for (const [key, due] of result.timers) {
      this.timers.set(key, due);
      if (due === null) this.timersGone = true;
    }
    for (const [key, work] of result.pending) {
      this.pending.set(key, work);
      if (work && recovered) this.recovered.set(key, trace);
      else this.recovered.delete(key);
    }
    this.definitions.push(...result.definitions);
    this.sweeps = result.sweeps;
    this.position = result.position;
  }

  /** Whether to commit now, when more is waiting. */
  full(now: number): boolean {
    return this.steps >= MAX_STEPS || now - this.since >= (this.recovered.size > 0 ? MAX_WORK_MS : MAX_MS);
  }

  /**
   * How long it may wait for more when nothing is waiting, ms. Not at all when somebody waits for the commit: outside work of an
   * earlier owner, and timers, of which only the store can tell the next. Nor where batches come farther apart than it would
   * wait: the process would be woken once more, for a group of one.
   * @param everyMs between the last two batches
   */
  linger(now: number, everyMs: number): number {
    if (this.empty) return Number.POSITIVE_INFINITY;
    if (everyMs >= LINGER_MS) return 0;
    if (this.recovered.size > 0 || this.timersGone || this.definitions.length > 0) return 0;
    return Math.max(0, (Math.floor(this.since / LINGER_MS) + 1) * LINGER_MS - now);
  }

  /** Outside work that is to be begun once the group is committed. */
  work(): PendingWork[] {
    return [...this.recovered].flatMap(([key, trace]) => {
      const work = this.pending.get(key);
      return work ? [{ key, ...work, recovered: true, trace }] : [];
    });
  }

  /** The first `limit` timers due at or before `until`; `stored` are the first `limit` + `timers.size` of the store. */
  due(stored: readonly DueTimer[], until: number, limit: number): DueTimer[] {
    if (this.timers.size === 0) return stored.slice(0, limit);
    const all = stored.filter((t) => !this.timers.has(t.key));
    for (const [key, due] of this.timers) if (due !== null && due <= until) all.push({ key, due });
    return all.sort((a, b) => (before(a, b) ? -1 : 1)).slice(0, limit);
  }
}

/** Outside work that was never begun, of a batch that is published. */
export function freshWork({ pending }: Pick<BatchResult, 'pending'>, trace?: TraceContext): PendingWork[] {
  const fresh: PendingWork[] = [];
  for (const [key, work] of pending) if (work) fresh.push({ key, ...work, recovered: false, trace });
  return fresh;
}
