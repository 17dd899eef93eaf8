// Runs the sink over a log made from a seed, on a folder, until all is stored: a process for tests to kill.
// node sink-worker.ts <dataDir> <events>
import { setTimeout as pause } from 'node:timers/promises';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { Sink } from '../src/processor.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { ClickHouseSinkStore } from '../src/store/sink-store.ts';
import { crashLog } from './crash-log.ts';
import { MIGRATIONS } from './temp-engine.ts';

const [dataDir, events] = process.argv.slice(2) as [string, string];
const engine = await ChdbEngine.open(dataDir);
await migrate(engine, await readMigrations(MIGRATIONS));
const sink = await Sink.open({
  store: new ClickHouseSinkStore(engine, 'LOG@test'),
  limits: { rows: 400, bytes: 1 << 24, waitMs: 50, busyWaitMs: 50, busyRows: 1, offsetMs: 20, retryMs: 10 },
  now: () => performance.now(),
  refuse: async () => {},
  onError: (error) => process.stderr.write(`${String(error)}\n`),
});
process.stdout.write(`from ${sink.fromSeq}\n`);
const frames = crashLog(Number(events)).filter((f) => f.seq >= sink.fromSeq);
for (let i = 0; i < frames.length; i += 5) {
  await sink.accept(frames.slice(i, i + 5));
  await pause(1);
}
await sink.drain();
await engine.close();
process.stdout.write('done\n');
