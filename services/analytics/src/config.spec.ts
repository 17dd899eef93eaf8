import { describe, expect, it } from 'vitest';
import { config, storeConfig } from './config.ts';

const ENV = {
  SERVICE_NAME: 'analytics',
  REPLICA_ID: 'analytics-0',
  NATS_URL: 'nats://n:4222',
  REDIS_URL: 'redis://r:6379',
  PARTITIONS: '4',
  GRPC_PORT: '0',
  HTTP_PORT: '0',
  CLICKHOUSE_HTTP_PORT: '0',
};

describe('where ClickHouse is', () => {
  it('is one setting', () => {
    expect(config({ ...ENV, DATA_DIR: '/d' })).toMatchObject({ deployment: { kind: 'embedded' }, dataDir: '/d' });
    expect(config({ ...ENV, CLICKHOUSE_URL: 'http://ch:8123?cluster=c' }).deployment).toEqual({
      kind: 'cluster',
      url: 'http://ch:8123/',
      cluster: 'c',
    });
    expect(storeConfig({ CLICKHOUSE_URL: 'http://ch:8123' }).deployment.kind).toBe('server');
  });

  it('a bad one is named without its password', () => {
    const bad = { ...ENV, CLICKHOUSE_URL: 'http://u:secret@ch:8123?cluster=a%20b' };
    expect(() => config(bad)).toThrow('CLICKHOUSE_URL = "http://***@ch:8123?***": cluster must be');
  });

  it('the embedded engine needs a folder', () => {
    expect(() => config(ENV)).toThrow('DATA_DIR = (not set): is required');
  });

  it('retention goes by today, which event time is not', () => {
    expect(config({ ...ENV, DATA_DIR: '/d', RETENTION_MONTHS: '24' }).retentionMonths).toBe(24);
    expect(() => config({ ...ENV, DATA_DIR: '/d', RETENTION_MONTHS: '24', CLOCK: 'event' })).toThrow(
      'RETENTION_MONTHS = "24": must be 0 with CLOCK=event',
    );
    expect(() => config({ ...ENV, DATA_DIR: '/d', RETENTION_MONTHS: '-1' })).toThrow('from 0 to 1200');
  });
});
