import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RfmMethod, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { applyEvent, type Facts, orderFigures, ShopZone } from '#lib/facts/facts.ts';
import { cutPointsOf, inForce } from '../src/core/cut-points.ts';
import { Population, type Rfm } from '../src/core/population.ts';
import { rfmOf, rfmScores } from '../src/core/rfm.ts';

const FILE = join(import.meta.dirname, '../../../../shared/data/rfm_orders/rfm_data_orders.csv');

interface Row {
  customer_id: string;
  order_date: string;
  revenue: string;
}

/** Reference: R's package rfm, as the data set's README has it. */
test('quintile scores of the rfm orders equal the reference', () => {
  if (!existsSync(FILE)) throw new Error(`This test needs ${FILE}: put the data of ../shared/data there.`);
  const now = Date.UTC(2006, 11, 31);
  const customers = fold(parse(readFileSync(FILE), { columns: true }) as Row[]);
  expect(customers.size).toBe(995);

  const asked = RfmSettings.fromPartial({ method: RfmMethod.RFM_METHOD_QUANTILES, wholeUnits: true });
  const population = new Population();
  for (const [id, facts] of customers) population.add(id, rfmOf(orderFigures(facts), asked, now) as Rfm);
  const settings = inForce({ ...asked, cutPoints: cutPointsOf(asked, population, { timeMs: now, complete: true }) });

  const scores = [...customers.values()].map((facts) => rfmScores(orderFigures(facts), settings, now));
  const champions = scores.filter(
    (one) => one && one.recencyScore > 3 && one.frequencyScore > 3 && one.monetaryScore > 3,
  );
  const sum = (figure: 'frequency' | 'monetaryMicros') => champions.reduce((all, one) => all + (one?.[figure] ?? 0), 0);
  expect([champions.length, sum('frequency'), sum('monetaryMicros') / 1e6]).toEqual([158, 1234, 120_178]);
});

function fold(rows: Row[]): Map<string, Facts> {
  const zone = new ShopZone('UTC');
  const customers = new Map<string, Facts>();
  rows.forEach(({ customer_id: id, order_date: day, revenue }, i) => {
    const timeMs = Date.parse(`${day}T00:00:00Z`);
    const commerce = { orderId: `o${i}`, amountMicros: Number(revenue) * 1e6, currency: 'USD' };
    const event = Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name: 'Order Completed', timeMs, commerce });
    customers.set(id, applyEvent(customers.get(id), event, timeMs, zone).facts);
  });
  return customers;
}
