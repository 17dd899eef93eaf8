import type { Search } from '#gen/recur/segmentation/v1/state.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import type { Dirty, Listeners } from './bounds.ts';
import { NEVER } from './elapsed.ts';
import { searchText } from './searches.ts';

/** Search words, by window; 0 stands for ever. */
export class SearchWatch {
  readonly #windows = new Map<number, Map<string, Listeners>>();

  watch(segment: number, words: readonly string[], days: number | undefined): void {
    const window = this.#windows.get(days ?? 0) ?? new Map<string, Listeners>();
    this.#windows.set(days ?? 0, window);
    for (const word of new Set(words.map(searchText))) {
      const listeners = window.get(word);
      if (listeners === undefined) window.set(word, [segment]);
      else if (listeners.at(-1) !== segment) listeners.push(segment);
    }
  }

  get used(): boolean {
    return this.#windows.size > 0;
  }

  /** A query was added, made again, or forgotten. */
  touched(query: string, dirty: Dirty): void {
    for (const window of this.#windows.values()) match(window, query, dirty);
  }

  /** Time went on from one day to another: searches that left a window. */
  passed(searches: readonly Search[], zone: ShopZone, from: number, to: number, dirty: Dirty): void {
    for (const [days, window] of this.#windows) {
      if (days === 0) continue;
      for (const { query, lastMs } of searches) {
        const end = zone.dayOf(lastMs) + days;
        if (end > from && end <= to) match(window, query, dirty);
      }
    }
  }

  /** Midnight at which the next search leaves a window, whether or not a word is in it: too early only costs a look. */
  next(searches: readonly Search[], zone: ShopZone, today: number): number {
    let next = NEVER;
    for (const days of this.#windows.keys()) {
      if (days === 0) continue;
      for (const { lastMs } of searches) {
        const end = zone.dayOf(lastMs) + days;
        if (end > today && end < next) next = end;
      }
    }
    return next === NEVER ? NEVER : zone.startOfDay(next);
  }
}

function match(window: ReadonlyMap<string, Listeners>, query: string, dirty: Dirty): void {
  for (const [word, listeners] of window) if (query.includes(word)) dirty.addAll(listeners);
}
