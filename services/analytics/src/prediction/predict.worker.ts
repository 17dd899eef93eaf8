// Fits and predicts in a thread of its own: seconds of arithmetic, during which the service goes on serving.
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Outcome } from '../core/prediction/churn.ts';
import { modelRows } from '../core/prediction/model-rows.ts';
import { type Customer, fitModels, type Models, type Prediction, predict } from '../core/prediction/predict.ts';
import type { FromWorker, PredictionTask } from './messages.ts';

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
say({ kind: 'done' });
port.close();

async function tellPredictions(fitted: Models): Promise<void> {
  for (let from = 0; from < customers.length; from += ROWS) {
    const some = customers.slice(from, from + ROWS);
    const tuples = some.map((customer) => tupleOf(customer, predict(fitted, customer, task.horizonWeeks)));
    const goOn = once(port as NonNullable<typeof port>, 'message');
    say({ kind: 'rows', table: 'predictions', tuples });
    await goOn;
    say({ kind: 'step', step: 'predicted', done: from + some.length, total: customers.length });
  }
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
