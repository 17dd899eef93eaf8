// 11.11: at midnight ten times as many within a minute, for a while, and back. Being told to come again is allowed; errors and
// losses are not.
import { ramping, TREND_STATS, thresholds } from './load.js';

export { grpcGetProfile, grpcSendEvents, httpBatch, httpTrack } from './calls.js';
export { handleSummary } from './summary.js';

const usual = Number(__ENV.RATE || 400);
const seconds = Number(__ENV.SECONDS || 120);
const share = (part) => Math.max(1, Math.round(seconds * part));

export const options = {
  scenarios: ramping(usual, [
    [share(0.15), usual],
    [Math.min(60, share(0.3)), usual * 10],
    [share(0.35), usual * 10],
    [share(0.1), usual],
    [share(0.1), usual],
  ]),
  thresholds: thresholds({ p99: 1000, refusals: 0.05 }),
  summaryTrendStats: TREND_STATS,
};
