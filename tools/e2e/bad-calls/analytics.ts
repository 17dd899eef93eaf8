import { status } from '@grpc/grpc-js';
import { Metric } from '#gen/recur/analytics/v1/metric.ts';
import type { Api } from '#tools/library/api.ts';
import { type BadCall, NOBODY } from './bad-call.ts';

const { INVALID_ARGUMENT, NOT_FOUND } = status;

export const ANALYTICS: readonly BadCall[] = [
  ['events of ""', timeline({ customerId: '' }), INVALID_ARGUMENT, /customer_id/],
  ['201 events a page', timeline({ pageSize: 201 }), INVALID_ARGUMENT, /page_size.*201/],
  ['a page that never was', timeline({ pageToken: "'; DROP TABLE events" }), INVALID_ARGUMENT, /page_token/],
  [
    'results over 366 days',
    (api) => api.analytics.listExperimentResults({ experimentId: '', days: 366, by: '' }),
    INVALID_ARGUMENT,
    /days.*366/,
  ],
  [
    'a summary before 1970',
    (api) => api.analytics.getSummary({ asOfMs: -1, rfm: undefined }),
    INVALID_ARGUMENT,
    /as_of_ms.*-1/,
  ],
  [
    'a summary after 2100',
    (api) => api.analytics.getSummary({ asOfMs: Date.UTC(2101, 0), rfm: undefined }),
    INVALID_ARGUMENT,
    /as_of_ms/,
  ],
  ['a metric that is nothing', metric({}), INVALID_ARGUMENT, /metric\.id.*metric\.owner.*metric\.refunds/],
  [
    'a metric that drops',
    metric({ formula: { $case: 'sql', value: 'DROP TABLE events' } }),
    INVALID_ARGUMENT,
    /metric\.sql: Only SELECT/,
  ],
  [
    'a metric that reads a file',
    metric({ formula: { $case: 'sql', value: "SELECT * FROM file('/etc/passwd')" } }),
    INVALID_ARGUMENT,
    /metric\.sql: .*file/,
  ],
  [
    'the metric of nobody',
    (api) => api.metrics.deleteMetric({ id: 'nobody', revision: 0, requestId: '' }),
    NOT_FOUND,
    /metric "nobody"/,
  ],
];
function metric(fields: object) {
  return (api: Api) => api.metrics.createMetric({ metric: Metric.fromPartial(fields), requestId: '' });
}
function timeline(fields: object) {
  const request = { customerId: NOBODY, pageSize: 0, pageToken: '', names: [], ...fields };
  return (api: Api) => api.analytics.listCustomerEvents(request);
}
