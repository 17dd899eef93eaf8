import { collectDefaultMetrics, Registry } from 'prom-client';

/** Seconds, from half a millisecond to half a minute. */
export const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * The event loop is looked at so often. The usual 10 ms wake a process that has nothing to do a hundred times a second, and every
 * replica pays for it. Lags are told with this added: a loop that is never held up has 0.25 s.
 */
const LOOP_MS = 250;

/** The one registry of the process, with Node's own metrics (CPU, memory, event-loop lag, garbage collection). */
export function createRegistry(service: string, replica: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service, replica });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_MS });
  return registry;
}
