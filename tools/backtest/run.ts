import type { Endpoint } from '#tools/sql/endpoint.ts';
import { Comparison, type Difference } from './difference.ts';
import { type HistorySize, readHistories } from './history.ts';
import { type JourneyTally, type Message, Tally } from './tally.ts';
import { type InForce, type Period, World } from './world.ts';

export interface BacktestOptions {
  readonly endpoint: Endpoint;
  readonly size: HistorySize;
  readonly timeZone: string;
  readonly period: Period;
  readonly share: number;
  readonly inForce: InForce;
  /** Other definitions, played beside these. */
  readonly other?: InForce;
  /** Told of every decision of the first run. */
  readonly onMessage?: (message: Message) => void;
  readonly progress?: (customers: number) => void;
}

export interface Result {
  readonly journeys: readonly JourneyTally[];
  /** Records the services would have refused, by reason. */
  readonly refusals: Readonly<Record<string, number>>;
}

export interface BacktestResult {
  readonly customers: number;
  readonly events: number;
  readonly first: Result;
  readonly second: Result | undefined;
  readonly difference: Difference | undefined;
}

/** Plays the history of every customer, one after another. */
export async function backtest(options: BacktestOptions): Promise<BacktestResult> {
  const { endpoint, size, timeZone, period, inForce, other, onMessage } = options;
  const comparison = new Comparison();
  const first = new Tally(timeZone, (message) => {
    onMessage?.(message);
    if (other) comparison.first(message);
  });
  const second = new Tally(timeZone, comparison.second);
  const worlds = [new World(timeZone, inForce, period, first)];
  if (other) worlds.push(new World(timeZone, other, period, second));
  let customers = 0;
  let events = 0;
  for await (const { customerId, past } of readHistories(endpoint, size, { toMs: period.toMs, share: options.share })) {
    for (const world of worlds) world.play(customerId, past);
    customers++;
    events += past.length;
    if (customers % 256 === 0) options.progress?.(customers);
  }
  const result = (tally: Tally): Result => ({
    journeys: tally.journeys,
    refusals: Object.fromEntries(tally.refusals),
  });
  return {
    ...{ customers, events },
    first: result(first),
    second: other && result(second),
    difference: other && comparison.end(),
  };
}
