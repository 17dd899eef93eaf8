// Every call works, under a load that any machine carries: half a minute, for CI.
import { constant, TREND_STATS, thresholds } from './load.js';

export { grpcGetProfile, grpcSendEvents, httpBatch, httpTrack } from './calls.js';
export { handleSummary } from './summary.js';

export const options = {
  scenarios: constant(Number(__ENV.RATE || 200), `${__ENV.SECONDS || 20}s`),
  thresholds: thresholds({ p99: 2000, refusals: 0 }),
  summaryTrendStats: TREND_STATS,
};
