import type { CustomerState } from '../core/state.ts';
import type { States } from './states.ts';

/** Customers looked at in one step; between steps others get their turn. */
const STEP = 500;

export interface Walked {
  readonly evaluated: number;
  /** False when it was ended before everybody was looked at. */
  readonly complete: boolean;
  /** The moment it was for: the latest "now" of the partitions. */
  readonly timeMs: number;
}

/** Shows every stored customer, partition by partition, until `ended`. `pause` is waited for after each step. */
export async function walk(
  states: States,
  ended: () => boolean,
  show: (customerId: string, state: CustomerState, now: number) => void,
  pause?: (ms: number) => Promise<void>,
): Promise<Walked> {
  let evaluated = 0;
  let timeMs = 0;
  for (let partition = 0; partition < states.partitions; partition++) {
    let cursor = '0';
    let now: number | undefined;
    do {
      if (ended()) return { evaluated, complete: false, timeMs };
      const started = performance.now();
      const page = await states.scan(partition, cursor, STEP);
      cursor = page.cursor;
      const first = page.customers[0];
      if (first === undefined) continue;
      now ??= await states.now(first.customerId);
      timeMs = Math.max(timeMs, now);
      for (const { customerId, state } of page.customers) show(customerId, state, Math.max(now, state.evaluatedMs));
      evaluated += page.customers.length;
      await pause?.(performance.now() - started);
    } while (cursor !== '0');
  }
  return { evaluated, complete: true, timeMs };
}
