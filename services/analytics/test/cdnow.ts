import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const CDNOW = join(import.meta.dirname, '../../../../shared/data/cdnow/CDNOW_sample.txt');

export interface CdnowOrder {
  readonly customer: string;
  /** Midnight of its day, UTC. */
  readonly timeMs: number;
  readonly amount: number;
}

/** The CDNOW sample: first buyers of early 1997, their orders to mid 1998. @throws when it is not there */
export function cdnowOrders(): CdnowOrder[] {
  if (!existsSync(CDNOW)) throw new Error(`${CDNOW} is missing: these figures cannot be checked without it`);
  return readFileSync(CDNOW, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, customer, day, , amount] = line.trim().split(/\s+/);
      if (customer === undefined || day === undefined) return [];
      const timeMs = Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6)));
      return [{ customer, timeMs, amount: Number(amount) }];
    });
}
