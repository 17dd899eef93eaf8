// Hours at half of a good day: what grows only slowly (memory, files, lag) shows.
import { constant, TREND_STATS, thresholds } from './load.js';

export { grpcGetProfile, grpcSendEvents, httpBatch, httpTrack } from './calls.js';
export { handleSummary } from './summary.js';

export const options = {
  scenarios: constant(Number(__ENV.RATE || 500), `${__ENV.SECONDS || 7200}s`),
  thresholds: thresholds({ p99: 250, refusals: 0 }),
  summaryTrendStats: TREND_STATS,
};
