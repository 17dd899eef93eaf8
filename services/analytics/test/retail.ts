// UCI Online Retail (../shared/data beside the repository) in the tables: an invoice is an order, C… are refunds that name none.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Engine, quote } from '../src/engine/engine.ts';

const FILE = join(import.meta.dirname, '../../../../shared/data/online_retail/online_retail_dev_to_2011-08-31.csv.gz');

export const RETAIL = { file: FILE, missing: !existsSync(FILE) };

export async function storeRetail(engine: Engine): Promise<void> {
  for (const table of ['events', 'identity_changes', 'exposures'])
    await engine.command(`TRUNCATE TABLE recur.${table}`);
  const invoices = `(SELECT InvoiceNo AS invoice, min(toDateTime64(InvoiceDate, 3, 'UTC')) AS at, sum(toDecimal64(Quantity, 6) * toDecimal64(UnitPrice, 6)) AS total,
    if(any(CustomerID) IS NULL OR toString(any(CustomerID)) = '', concat('guest-', invoice), toString(any(CustomerID))) AS customer, rowNumberInAllBlocks() AS n
    FROM file(${quote(FILE)}, CSVWithNames, 'InvoiceNo String, StockCode String, Description String, Quantity Int64, InvoiceDate String, UnitPrice String, CustomerID String, Country String') GROUP BY invoice)`;
  await engine.command(`INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, time, order_id, amount)
    SELECT 0, 1, n, at, customer, invoice, 'track', if(startsWith(invoice, 'C'), 'Order Refunded', 'Order Completed'), at, if(startsWith(invoice, 'C'), '', invoice), abs(total) FROM ${invoices}`);
  await engine.command(`INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change, created, identified)
    SELECT 0, 1, 0, min(log_time), customer_id, 'linked', 1, NOT startsWith(customer_id, 'guest-') FROM recur.events GROUP BY customer_id`);
}
