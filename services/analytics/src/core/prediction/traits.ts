/** What is told of a customer, so that segments and journeys can use it: names and JSON texts of traits. */
export type Traits = ReadonlyMap<string, string>;

/** What a run says of a customer; undefined where not predictable. */
export interface Told {
  readonly purchases: number | undefined;
  readonly value: number | undefined;
  readonly churn: number | undefined;
  /** By category (empty: any purchase), days as YYYY-MM-DD, those that end first before the others. */
  readonly windows: readonly { readonly category: string; readonly from: string; readonly to: string }[];
}

/** Categories told of one customer: those he buys next. A profile has room for 200 traits. */
export const MAX_TOLD_CATEGORIES = 5;

export function traitsOf({ purchases, value, churn, windows }: Told): Traits {
  const traits = new Map<string, string>();
  const put = (name: string, given: number | undefined) => {
    // Two decimals: what changes less is not worth an event.
    if (given !== undefined) traits.set(name, JSON.stringify(Math.round(given * 100) / 100));
  };
  put('expected_purchases', purchases);
  put('expected_value', value);
  put('churn_score', churn);
  const any = windows.filter((w) => w.category === '');
  const each = windows.filter((w) => w.category !== '').slice(0, MAX_TOLD_CATEGORIES);
  for (const { category, from, to } of [...any, ...each]) {
    const suffix = category === '' ? '' : `:${category}`;
    traits.set(`next_purchase_from${suffix}`, JSON.stringify(from));
    traits.set(`next_purchase_to${suffix}`, JSON.stringify(to));
  }
  return traits;
}

/** What to tell of somebody of whom `before` was told: undefined when nothing changed. What is no longer true becomes null. */
export function changeOf(before: Traits, now: Traits): Traits | undefined {
  const told = new Map([...before].filter(([, json]) => json !== 'null'));
  const same = told.size === now.size && [...now].every(([name, json]) => told.get(name) === json);
  if (same) return undefined;
  // All of them, so that the last event says all there is.
  return new Map([...[...told.keys()].map((name): [string, string] => [name, 'null']), ...now]);
}
