import { type BuiltEvent, build, groupKey, mappingsFor, type Row, RowError } from './build.ts';
import type { Position } from './checkpoint.ts';
import type { EventMapping, Mapping } from './mapping.ts';
import type { BadLine } from './rows.ts';

/** Rows of a group may be this many rows apart. */
export const GROUP_WINDOW = 2_000;

export type Assembled =
  /** Events of one group: one, or the parts of one. */
  | { readonly kind: 'events'; readonly events: readonly BuiltEvent[] }
  | { readonly kind: 'bad'; readonly lines: readonly number[]; readonly reason: string }
  | { readonly kind: 'skipped'; readonly line: number };

interface Group {
  readonly id: string;
  readonly event: EventMapping;
  readonly rows: Row[];
  lastRow: number;
}

/**
 * Turns rows into events in the order in which their first rows come. A group is complete when no row of it came for a while;
 * groups opened after it wait, so that order holds.
 */
export class Assembler {
  private readonly mapping: Mapping;
  /** In the order of their first rows. */
  private readonly open = new Set<Group>();
  /** The newest group of each id that is still open. */
  private readonly newest = new Map<string, Group>();
  /** Complete groups with rows at or behind the first row of one still open: what a resumed run must not take up again. */
  private readonly complete: Map<string, number>;
  private readonly window: number;
  private count = 0;

  constructor(mapping: Mapping, from: Pick<Position, 'stored'> = { stored: [] }, window = GROUP_WINDOW) {
    this.mapping = mapping;
    this.window = window;
    this.complete = new Map(from.stored);
  }

  /** Where to begin again once all events given out so far are stored, when `next` is the first line not read yet. */
  position(next: number): Omit<Position, 'complete'> {
    const line = this.open.values().next().value?.rows[0]?.line ?? next;
    for (const [id, lastLine] of this.complete) if (lastLine < line) this.complete.delete(id);
    return { line, stored: [...this.complete] };
  }

  *add(row: Row | BadLine): Generator<Assembled> {
    this.count++;
    if (row.cells === undefined) yield { kind: 'bad', lines: [row.line], reason: row.reason };
    else {
      const events = mappingsFor(row, this.mapping);
      if (events.length === 0) yield { kind: 'skipped', line: row.line };
      for (const event of events) this.put(row, event);
    }
    yield* this.close(this.count - this.window);
  }

  *end(): Generator<Assembled> {
    yield* this.close(Number.POSITIVE_INFINITY);
  }

  private put(row: Row, event: EventMapping): void {
    const key = groupKey(row, event);
    const id = `${this.mapping.events.indexOf(event)}\u0001${key ?? `\u0001${row.line}`}`;
    if (row.line <= (this.complete.get(id) ?? -1)) return;
    const group = this.newest.get(id);
    // A group that only waits for its turn is complete all the same: whether a row belongs to it must not depend on others.
    if (group !== undefined && this.count - group.lastRow <= this.window) {
      group.rows.push(row);
      group.lastRow = this.count;
      return;
    }
    // A row of its own is complete at once.
    const opened = { id, event, rows: [row], lastRow: key === undefined ? Number.NEGATIVE_INFINITY : this.count };
    this.open.add(opened);
    this.newest.set(id, opened);
  }

  private *close(before: number): Generator<Assembled> {
    for (const group of this.open) {
      if (group.lastRow > before) return;
      this.open.delete(group);
      if (this.newest.get(group.id) === group) this.newest.delete(group.id);
      this.complete.set(group.id, group.rows.at(-1)?.line ?? 0);
      yield this.built(group);
    }
  }

  private built({ rows, event }: Group): Assembled {
    try {
      return { kind: 'events', events: build(rows, event, this.mapping) };
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      return { kind: 'bad', lines: rows.map(({ line }) => line), reason: error.message };
    }
  }
}
