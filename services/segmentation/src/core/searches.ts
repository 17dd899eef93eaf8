import type { Event } from '#gen/recur/log/v1/event.ts';
import type { Search } from '#gen/recur/segmentation/v1/state.ts';

export const PRODUCTS_SEARCHED = 'Products Searched';
export const MAX_SEARCHES = 32;
export const MAX_QUERY_LENGTH = 64;

/** Search words are compared in this form. */
export function searchText(text: string): string {
  return text.normalize('NFKC').toLowerCase().trim().slice(0, MAX_QUERY_LENGTH);
}

/** What a customer searched for; undefined when the event is no search. */
export function searchOf(event: Event): string | undefined {
  if (event.name !== PRODUCTS_SEARCHED || event.propertiesJson.length === 0) return undefined;
  let query: unknown;
  try {
    query = JSON.parse(event.propertiesJson.toString()).query;
  } catch {
    return undefined;
  }
  return typeof query === 'string' && query !== '' ? searchText(query) : undefined;
}

/** Adds searches; of the same query the later one stays, beyond 32 the earliest go. Returns the queries that changed. */
export function addSearches(searches: Search[], added: readonly Search[]): string[] {
  const changed: string[] = [];
  for (const search of added) {
    const at = searches.findIndex((known) => known.query === search.query);
    if (at >= 0 && (searches[at] as Search).lastMs >= search.lastMs) continue;
    if (at >= 0) searches.splice(at, 1);
    let place = searches.length;
    while (place > 0 && later(searches[place - 1] as Search, search)) place--;
    searches.splice(place, 0, { ...search });
    changed.push(search.query);
  }
  for (const gone of searches.splice(0, Math.max(0, searches.length - MAX_SEARCHES))) changed.push(gone.query);
  return changed;
}

const later = (a: Search, b: Search): boolean => (a.lastMs !== b.lastMs ? a.lastMs > b.lastMs : a.query > b.query);
