import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { MonetaryBasis, RfmMethod, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { applyEvent, type Facts, orderFigures, ShopZone } from '#lib/facts/facts.ts';
import { cutPointsOf, inForce } from '../src/core/cut-points.ts';
import { Population, type Rfm } from '../src/core/population.ts';
import { RFM_CLASSES, rfmClass, rfmOf } from '../src/core/rfm.ts';

/** Reference figures of the data set's README, worked out elsewhere: thresholds are the means, R,F,M high in that order. */
const EXPECTED = { '111': 535, '110': 283, '101': 96, '100': 1049, '011': 23, '010': 55, '001': 49, '000': 1227 };

const FILE = join(import.meta.dirname, '../../../../shared/data/online_retail/online_retail_dev_to_2011-08-31.csv.gz');

interface Row {
  InvoiceNo: string;
  Quantity: string;
  InvoiceDate: string;
  UnitPrice: string;
  CustomerID: string;
}

interface Invoice {
  customer: string;
  timeMs: number;
  micros: number;
}

test('RFM classes of Online Retail equal the reference', () => {
  if (!existsSync(FILE)) throw new Error(`This test needs ${FILE}: put the data of ../shared/data there.`);
  const zone = new ShopZone('UTC');
  const now = Date.UTC(2011, 8, 1);
  const facts = new Map<string, Facts>();
  for (const [orderId, { customer, timeMs, micros }] of invoices()) {
    const event = Event.fromPartial({
      type: EventType.EVENT_TYPE_TRACK,
      name: 'Order Completed',
      timeMs,
      commerce: { orderId, amountMicros: micros, currency: 'GBP' },
    });
    facts.set(customer, applyEvent(facts.get(customer), event, timeMs, zone).facts);
  }
  expect(facts.size).toBe(3317);

  const asked = RfmSettings.fromPartial({
    method: RfmMethod.RFM_METHOD_MEANS,
    monetaryBasis: MonetaryBasis.MONETARY_BASIS_GROSS,
  });
  const all = [...facts].map(([id, one]) => ({ id, figures: orderFigures(one) }));
  const population = new Population();
  for (const { id, figures } of all) population.add(id, rfmOf(figures, asked, now) as Rfm);
  const settings = inForce({ ...asked, cutPoints: cutPointsOf(asked, population, { timeMs: now, complete: true }) });
  expect(settings.recencyDays).toBeCloseTo(92.6, 3);
  expect(settings.frequency).toBeCloseTo(3.4414, 4);
  expect(settings.monetaryMicros / 1e6).toBeCloseTo(1579.51, 2);

  const counts = Object.fromEntries(RFM_CLASSES.map((one) => [code(one), 0]));
  for (const { figures } of all) {
    const found = rfmClass(figures, settings, now);
    if (found !== undefined) counts[code(found)] = (counts[code(found)] ?? 0) + 1;
  }
  expect(counts).toEqual(EXPECTED);
}, 60_000);

const code = (one: { recencyHigh: boolean; frequencyHigh: boolean; monetaryHigh: boolean }) =>
  [one.recencyHigh, one.frequencyHigh, one.monetaryHigh].map(Number).join('');

/** Orders of known customers, in the order of time: an invoice is one order, at the time of its last line. */
function invoices(): [string, Invoice][] {
  const rows = parse(gunzipSync(readFileSync(FILE)), { columns: true }) as Row[];
  const found = new Map<string, Invoice>();
  for (const row of rows) {
    if (row.CustomerID === '' || row.InvoiceNo.startsWith('C')) continue;
    const timeMs = Date.parse(`${row.InvoiceDate.replace(' ', 'T')}Z`);
    const micros = Number(row.Quantity) * Math.round(Number(row.UnitPrice) * 1e6);
    const known = found.get(row.InvoiceNo);
    if (known === undefined) found.set(row.InvoiceNo, { customer: row.CustomerID, timeMs, micros });
    else {
      known.micros += micros;
      known.timeMs = Math.max(known.timeMs, timeMs);
    }
  }
  return [...found].sort((a, b) => a[1].timeMs - b[1].timeMs);
}
