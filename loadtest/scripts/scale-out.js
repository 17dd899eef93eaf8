// A constant load while replicas come and go (whoever runs this adds them after a third and takes them away after two).
import { constant, TREND_STATS, thresholds } from './load.js';

export { grpcGetProfile, grpcSendEvents, httpBatch, httpTrack } from './calls.js';
export { handleSummary } from './summary.js';

export const options = {
  scenarios: constant(Number(__ENV.RATE || 1000), `${__ENV.SECONDS || 90}s`),
  thresholds: thresholds({ p99: 1000, refusals: 0 }),
  summaryTrendStats: TREND_STATS,
};
