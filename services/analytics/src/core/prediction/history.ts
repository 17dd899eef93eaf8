/**
 * One customer's purchases up to a day, in weeks, as the models count them (Fader, Hardie and Lee 2005). A purchase is a day of
 * the shop with orders that were kept: two orders of one day are one purchase.
 */
export interface History {
  /** x: purchases after the first. */
  readonly repeats: number;
  /** t_x: from the first purchase to the last, weeks; 0 without repeats. */
  readonly recency: number;
  /** T: from the first purchase to the last complete day, weeks. */
  readonly age: number;
}

/** Histories as columns, equal ones counted together: what a likelihood is summed over. */
export interface Histories {
  readonly repeats: Float64Array;
  readonly recency: Float64Array;
  readonly age: Float64Array;
  /** Customers with this very history. */
  readonly customers: Float64Array;
}

export function collect(histories: readonly History[]): Histories {
  const groups = new Map<string, { history: History; customers: number }>();
  for (const history of histories) {
    const key = `${history.repeats} ${history.recency} ${history.age}`;
    const group = groups.get(key);
    if (group) group.customers++;
    else groups.set(key, { history, customers: 1 });
  }
  const all = [...groups.values()];
  return {
    repeats: Float64Array.from(all, (g) => g.history.repeats),
    recency: Float64Array.from(all, (g) => g.history.recency),
    age: Float64Array.from(all, (g) => g.history.age),
    customers: Float64Array.from(all, (g) => g.customers),
  };
}

/** So many of them, spread evenly; all when there are no more. */
export function thin(histories: Histories, most: number): Histories {
  const n = histories.repeats.length;
  if (n <= most) return histories;
  const some = (column: Float64Array): Float64Array =>
    Float64Array.from({ length: most }, (_, i) => column[Math.floor((i * n) / most)] as number);
  const { repeats, recency, age, customers } = histories;
  return { repeats: some(repeats), recency: some(recency), age: some(age), customers: some(customers) };
}
