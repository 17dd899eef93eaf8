// Fits and predicts in a thread of its own: seconds of arithmetic, during which the service goes on serving.
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Outcome } from '../core/prediction/churn.ts';
import { dayOfNumber } from '../core/prediction/days.ts';
import { modelRows, rhythmRow } from '../core/prediction/model-rows.ts';
import { calibrate, type NextPurchase, nextPurchases } from '../core/prediction/next-purchase.ts';
import { type Customer, fitModels, type Models, type Prediction, predict } from '../core/prediction/predict.ts';
import { type PurchaseDays, Rhythm } from '../core/prediction/rhythm.ts';
import type { FromWorker, PredictionTask, Table } from './messages.ts';

/** Rows an insert. */
const ROWS = 5_000;

const port = parentPort;
if (port === null) throw new Error('this file is the code of a worker');
const say = (message: FromWorker): void => port.postMessage(message);

const task = workerData as PredictionTask;
const customers = [...lines(task.customers)].map(customerOf);
say({ kind: 'step', step: 'read', done: customers.length, total: customers.length });
const outcomes = [...lines(task.outcomes)].map(outcomeOf);
const models = fitModels(customers, outcomes, task.outcomeWeeks, (step) =>
  say({ kind: 'step', step: `fitted ${step}`, done: 0, total: customers.length }),
);
say({ kind: 'models', models: modelRows(models, task.outcomeWeeks) });
await tellPredictions(models);
await tellNextPurchases();
say({ kind: 'done' });
port.close();

async function tellPredictions(fitted: Models): Promise<void> {
  const tuples = customers.values().map((customer) => tupleOf(customer, predict(fitted, customer, task.horizonWeeks)));
  await tell('predictions', 'predicted', tuples, customers.length);
}

async function tellNextPurchases(): Promise<void> {
  const categories = [...Map.groupBy(lines(task.rhythms), (line) => String(line[0]))].map(([category, rows]) => ({
    category,
    buyers: rows.map(purchaseDaysOf),
  }));
  const { today, windowCut } = task;
  const calibrateOver = (some: typeof categories) =>
    calibrate(
      some.map((c) => c.buyers),
      windowCut,
      today,
    );
  const any = calibrateOver(categories.filter((c) => c.category === ''));
  const each = calibrateOver(categories.filter((c) => c.category !== ''));
  const rhythms = categories.map(({ category, buyers }) => ({
    ...{ category, buyers, rhythm: new Rhythm(buyers, today) },
    calibration: category === '' ? any : each,
  }));
  say({
    kind: 'models',
    models: rhythms.map((r) => rhythmRow(r.category, r.rhythm, r.buyers.length, r.calibration)),
  });
  const tuples = rhythms.values().flatMap(({ category, buyers, rhythm, calibration }) => {
    return nextPurchases(rhythm, buyers, today, calibration).map((next) => nextTupleOf(category, next));
  });
  await tell(
    'next_purchases',
    'next purchases',
    tuples,
    rhythms.reduce((sum, r) => sum + r.buyers.length, 0),
  );
}

/** Rows go out in parts; the next one is made when the database has the one before. */
async function tell(table: Table, step: string, rows: Iterable<string>, total: number): Promise<void> {
  let done = 0;
  let tuples: string[] = [];
  const send = async (): Promise<void> => {
    const goOn = once(port as NonNullable<typeof port>, 'message');
    say({ kind: 'rows', table, tuples });
    await goOn;
    done += tuples.length;
    tuples = [];
    say({ kind: 'step', step, done, total });
  };
  for (const row of rows) {
    tuples.push(row);
    if (tuples.length === ROWS) await send();
  }
  if (tuples.length > 0) await send();
}

function* lines(bytes: Uint8Array): Generator<unknown[]> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf(10, start);
    const stop = end < 0 ? text.length : end;
    if (stop > start) yield JSON.parse(text.toString('utf8', start, stop)) as unknown[];
    start = stop + 1;
  }
}

function customerOf([id, repeats, recency, age, valued, mean]: unknown[]): Customer {
  return {
    id: String(id),
    history: { repeats: Number(repeats), recency: Number(recency), age: Number(age) },
    spending: { purchases: Number(valued), mean: Number(mean ?? 0) },
  };
}

function outcomeOf([repeats, recency, age, returned]: unknown[]): Outcome {
  return {
    history: { repeats: Number(repeats), recency: Number(recency), age: Number(age) },
    returned: Number(returned) === 1,
  };
}

function purchaseDaysOf([, id, days]: unknown[]): PurchaseDays {
  return { customerId: String(id), days: days as number[] };
}

function nextTupleOf(category: string, next: NextPurchase): string {
  const { customerId, purchases, lastDay, cycleDays, chance, window, reason } = next;
  const day = (n: number | undefined): string => (n === undefined ? 'NULL' : quoted(dayOfNumber(n)));
  const ends = `${day(window?.from)}, ${day(window?.to)}`;
  return `, ${quoted(customerId)}, ${quoted(category)}, ${purchases}, ${day(lastDay)}, ${cycleDays ?? 'NULL'}, ${chance ?? 'NULL'}, ${ends}, ${quoted(reason)})`;
}

function tupleOf({ id, history, spending }: Customer, p: Prediction): string {
  const values = [
    history.repeats,
    history.recency,
    history.age,
    spending.purchases > 0 ? spending.mean : undefined,
    p.active,
    p.purchases,
    p.interval?.low,
    p.interval?.high,
    p.interval?.mass,
    p.churn,
    p.purchaseValue,
    p.value,
  ];
  return `, ${quoted(id)}, ${values.map((v) => v ?? 'NULL').join(', ')}, ${quoted(p.reason)})`;
}

function quoted(text: string): string {
  return `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
}
