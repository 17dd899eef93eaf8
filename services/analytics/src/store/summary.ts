import type { GetSummaryResponse, RfmClassCount, RfmThresholds } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Engine } from '../engine/engine.ts';

const micros = (decimal: string): string => `toString(toInt64(${decimal} * 1000000))`;

/** The shop in numbers, each from the view of its name. */
export async function readSummary(
  engine: Engine,
  asOfMs: number,
  rfm: RfmThresholds | undefined,
): Promise<GetSummaryResponse> {
  const one = async (sql: string, params = {}): Promise<Record<string, string>> =>
    (await engine.rows<Record<string, string>>(sql, params))[0] ?? {};
  const events = await one(
    'SELECT count() AS n, toString(toUnixTimestamp64Milli(max(time)) + 1) AS end FROM recur.events',
  );
  const asOf = asOfMs > 0 ? asOfMs : Number(events.end ?? 1);
  // As v_identification_rate, v_repurchase_rate and v_concentration say, in one go over the customers.
  const totals = await one(
    `SELECT count() AS customers, countIf(c.identified) AS known, sum(c.orders) AS placed, ${micros('sum(c.gross)')} AS gross_, ${micros('sum(c.refunded)')} AS refunded_,
       sumIf(c.orders, NOT c.identified) AS guest_orders,
       countIf(c.identified AND c.orders_kept >= 1) AS buyers, countIf(c.identified AND c.orders_kept >= 2) AS repeat_buyers,
       arrayReverseSort(groupArrayIf(toFloat64(c.gross), c.identified AND c.orders > 0)) AS spent,
       arraySum(arraySlice(spent, 1, toUInt64(ceil(length(spent) / 10)))) / nullIf(arraySum(spent), 0) AS top_share
     FROM recur.v_customers AS c`,
  );
  const merged = await one('SELECT count() AS n FROM recur.v_customer_map');
  const customers = Number(totals.customers ?? 0);
  const identified = Number(totals.known ?? 0);
  const [buyers, repeatBuyers] = [Number(totals.buyers ?? 0), Number(totals.repeat_buyers ?? 0)];
  const [gross, refunded] = [Number(totals.gross_ ?? 0), Number(totals.refunded_ ?? 0)];
  return {
    events: Number(events.n ?? 0),
    customers,
    identifiedCustomers: identified,
    identificationRate: customers === 0 ? 0 : identified / customers,
    mergedCustomers: Number(merged.n ?? 0),
    orders: Number(totals.placed ?? 0),
    grossMicros: gross,
    refundedMicros: refunded,
    netMicros: gross - refunded,
    buyers,
    repeatBuyers,
    repurchaseRate: buyers === 0 ? 0 : repeatBuyers / buyers,
    topDecileShare: Number(totals.top_share ?? 0),
    rfm: await readRfm(engine, asOf, rfm),
    guests: customers - identified,
    guestOrders: Number(totals.guest_orders ?? 0),
    asOfMs: asOf,
  };
}

async function readRfm(engine: Engine, asOfMs: number, rfm: RfmThresholds | undefined): Promise<RfmClassCount[]> {
  const asOf = "as_of = fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')";
  const view = rfm
    ? `recur.v_rfm(${asOf}, recency_days = {recency:Float64}, frequency = {frequency:Float64}, monetary = {monetary:Float64})`
    : `recur.v_rfm_mean(${asOf})`;
  const thresholds: Record<string, number> = rfm
    ? { recency: rfm.recencyDays, frequency: rfm.frequency, monetary: rfm.monetaryMicros / 1e6 }
    : {};
  const rows = await engine.rows<{ class: string; customers: string; sum_micros: string }>(
    `SELECT class, count() AS customers, toString(toInt64(round(sum(monetary) * 1000000))) AS sum_micros FROM ${view} GROUP BY class ORDER BY class`,
    { as_of: asOfMs, ...thresholds },
  );
  return rows.map((r) => ({ class: r.class, customers: Number(r.customers), monetaryMicros: Number(r.sum_micros) }));
}
