// Loads as k6 scenarios: a mix of calls whose rates keep their proportions, whatever the load does over time.
import { BATCH } from './calls.js';

/** Share of events each call brings; reads are counted in calls. */
const MIX = { httpBatch: 0.6, grpcSendEvents: 0.3, httpTrack: 0.1 };
/** Profiles read for each thousand events. */
const READS = 20;

/** @param perSecond events a second */
const rates = (perSecond) => ({
  httpBatch: (perSecond * MIX.httpBatch) / BATCH,
  grpcSendEvents: (perSecond * MIX.grpcSendEvents) / BATCH,
  httpTrack: perSecond * MIX.httpTrack,
  grpcGetProfile: (perSecond * READS) / 1000,
});

// Rates below one a second are rates a minute: k6 counts in whole numbers.
const UNIT = { timeUnit: '1m' };
const perMinute = (rate) => Math.max(1, Math.round(rate * 60));

export function constant(perSecond, duration) {
  return scenarios(perSecond, (rate) => ({
    executor: 'constant-arrival-rate',
    ...UNIT,
    rate: perMinute(rate),
    duration,
  }));
}

/** @param stages `[seconds, events a second to be reached by then]` */
export function ramping(start, stages) {
  const most = Math.max(start, ...stages.map(([, to]) => to));
  return scenarios(most, (_, name) => ({
    executor: 'ramping-arrival-rate',
    ...UNIT,
    startRate: perMinute(rates(start)[name]),
    stages: stages.map(([seconds, to]) => ({ duration: `${seconds}s`, target: perMinute(rates(to)[name]) })),
  }));
}

/** Arrivals do not wait for answers: a slow server gets more senders at once, as in life, up to what two cores can play. */
function scenarios(most, make) {
  return Object.fromEntries(
    Object.entries(rates(most)).map(([exec, rate]) => [
      exec,
      {
        ...make(rate, exec),
        exec,
        // Enough for a second each, made before the load begins: making more takes k6 the time in which calls are due.
        preAllocatedVUs: Math.max(2, Math.ceil(rate)),
        maxVUs: Math.max(20, Math.ceil(rate)),
        gracefulStop: '10s',
      },
    ]),
  );
}

const HTTP = ['http batch', 'http track'];
const GRPC = ['grpc SendEvents', 'grpc GetProfile'];

/**
 * What must hold, by call. Broken thresholds make k6 fail.
 * @param p99 milliseconds, @param refusals share of calls that may be told to come again
 */
export function thresholds({ p99, refusals }) {
  const of = (metric, limit) => (call) => [`${metric}{call:${call}}`, [limit]];
  return Object.fromEntries([
    ...HTTP.map(of('http_req_duration', `p(99)<${p99}`)),
    ...GRPC.map(of('grpc_req_duration', `p(99)<${p99}`)),
    ...[...HTTP, ...GRPC].map(of('recur_errors', 'rate<0.001')),
    ...[...HTTP, ...GRPC].map(of('recur_refused', `rate<=${refusals}`)),
    // The load itself must have been there: senders that were missing make a good p99.
    ['dropped_iterations', ['count<100']],
  ]);
}

export const TREND_STATS = ['avg', 'p(50)', 'p(90)', 'p(99)', 'max', 'count'];
