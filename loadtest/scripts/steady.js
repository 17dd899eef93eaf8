// A good day, all day: a constant load well below what the cluster carries.
import { constant, TREND_STATS, thresholds } from './load.js';

export { grpcGetProfile, grpcSendEvents, httpBatch, httpTrack } from './calls.js';
export { handleSummary } from './summary.js';

export const options = {
  scenarios: constant(Number(__ENV.RATE || 1000), `${__ENV.SECONDS || 120}s`),
  thresholds: thresholds({ p99: 250, refusals: 0 }),
  summaryTrendStats: TREND_STATS,
};
