// node tools/collector/main.ts [--port 4318] [--keep N] [--quiet]: takes spans and prints each trace as a tree once it is quiet.
import { parseArgs } from 'node:util';
import { Collector } from './collector.ts';
import { treeOf } from './graph.ts';

/** A trace nobody added to for so long is shown. */
const QUIET_MS = 5_000;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4318' },
    keep: { type: 'string', default: '20000' },
    quiet: { type: 'boolean', default: false },
  },
});
const whole = (name: 'port' | 'keep', max: number): number => {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= 0 && number <= max) return number;
  console.error(`--${name}: ${values[name]} must be a whole number from 0 to ${max}`);
  process.exit(2);
};
const collector = await Collector.start({ port: whole('port', 65_535), keep: whole('keep', 1_000_000) });
console.log(`OTEL_EXPORTER_OTLP_ENDPOINT=${collector.url}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0));

let seen = 0;
const open = new Map<string, number>();
if (!values.quiet) {
  setInterval(() => {
    const fresh = collector.received - seen;
    seen = collector.received;
    if (fresh > 0) for (const { traceId } of collector.spans.slice(-fresh)) open.set(traceId, Date.now());
    for (const [traceId, at] of open) {
      if (Date.now() - at < QUIET_MS) continue;
      open.delete(traceId);
      console.log(`\n${traceId}\n${treeOf(collector.trace(traceId))}`);
    }
  }, 500);
}
