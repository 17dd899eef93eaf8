import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig, readConfig } from './config.ts';
import { ConfigError, Settings, withoutCredentials } from './settings.ts';

const dir = mkdtempSync(join(tmpdir(), 'recur-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const file = (name: string, content: string): string => {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
};

const KEY = 'ab'.repeat(32);
const good = {
  SERVICE_NAME: 'profile',
  REPLICA_ID: 'profile-0',
  NATS_URL: 'nats://user:nats-secret@10.0.0.1:4222,nats://10.0.0.2:4222',
  REDIS_URL: 'redis://:redis-secret@127.0.0.1:6379/0',
  PARTITIONS: '16',
  GRPC_PORT: '50053',
  HTTP_PORT: '0',
};

function problemsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ name, value, rule }) => `${name} = ${value}: ${rule}`);
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('loadConfig', () => {
  test('reads what is there and fills in the rest', () => {
    expect(loadConfig(good)).toMatchObject({
      serviceName: 'profile',
      partitions: 16,
      clock: 'live',
      shopTimeZone: 'UTC',
      grpcHost: '127.0.0.1',
      httpHost: '127.0.0.1',
      httpPort: 0,
      logLevel: 'info',
      streamReplicas: 1,
      shutdownMs: 10_000,
      streamLimits: { ingest: { maxBytes: -1, maxAgeMs: 7 * 86_400_000 } },
    });
    expect(loadConfig(good).apiTokens.size).toBe(0);
    expect(loadConfig(good).smtpUrl).toBeUndefined();
  });

  test('names every bad value at once, with its rule', () => {
    const bad = {
      ...good,
      PARTITIONS: '1e3',
      CLOCK: 'wall',
      SHOP_TIME_ZONE: 'Mars/Olympus',
      REPLICA_ID: '',
      GRPC_PORT: '65536',
      IDENTITY_ADDR: 'localhost',
      STREAM_REPLICAS: '2',
      SMTP_URL: 'http://mail',
    };
    expect(problemsOf(() => loadConfig(bad)).sort()).toEqual([
      'CLOCK = "wall": must be one of live, event',
      'GRPC_PORT = "65536": must be a whole number from 0 to 65535',
      'IDENTITY_ADDR = "localhost": must be host:port',
      'PARTITIONS = "1e3": must be a whole number from 1 to 1024',
      'REPLICA_ID = (not set): is required',
      'SHOP_TIME_ZONE = "Mars/Olympus": must be an IANA time zone, such as Asia/Shanghai',
      'SMTP_URL = "http://mail": must be a URL with smtp:// or smtps://',
      'STREAM_REPLICAS = "2": must be one of 1, 3, 5',
    ]);
  });

  test('says what a service cannot do without', () => {
    expect(problemsOf(() => loadConfig(good, ['sealingKeys', 'segmentationAddr']))).toEqual([
      'SEALING_KEY_FILE = (not set): is required',
      'SEGMENTATION_ADDR = (not set): is required',
    ]);
    // One that is there but bad is reported once.
    expect(problemsOf(() => loadConfig({ ...good, SEALING_KEY_FILE: '/none' }, ['sealingKeys']))).toEqual([
      'SEALING_KEY_FILE = "/none": the file cannot be read (ENOENT)',
    ]);
  });

  test('reads key files, and nothing shows what is in them', () => {
    const env = {
      ...good,
      IDENTIFIER_KEY_FILE: file('identifier', `${KEY}\n`),
      SEALING_KEY_FILE: file('sealing', `# newest first\n7:${KEY}\n3:${'cd'.repeat(32)}\n`),
      WRITE_KEYS_FILE: file('write', '{"wk-secret": {"source": "web"}}'),
      API_TOKENS_FILE: file('tokens', '{"token-secret": {"name": "local", "scopes": ["*"]}}'),
    };
    const config = loadConfig(env, ['identifierKeys', 'sealingKeys', 'writeKeys']);
    expect(config.sealingKeys.active.id).toBe(7);
    expect(config.sealingKeys.get(3)).toEqual(Buffer.from('cd'.repeat(32), 'hex'));
    expect(config.writeKeys.sourceOf('wk-secret')).toBe('web');
    expect(config.apiTokens.authenticate('token-secret')?.name).toBe('local');
    const { natsUrl: _nats, redisUrl: _redis, ...shown } = config;
    for (const text of [JSON.stringify(shown), inspect(shown, { depth: 9, showHidden: true })]) {
      expect(text).not.toMatch(/abab|cdcd|wk-secret|token-secret|171, 171/);
    }
  });

  test.each([
    ['SEALING_KEY_FILE', 'secret-not-hex', 'line 1 must be 64 hex digits (32 bytes), or id:hex'],
    ['SEALING_KEY_FILE', `1:${'secret'.repeat(12)}`, 'line 1 must be 64 hex digits (32 bytes), or id:hex'],
    ['SEALING_KEY_FILE', `1:${KEY}\n1:${KEY}`, 'key id 1 is used twice'],
    ['SEALING_KEY_FILE', `0:${KEY}`, 'a key id must be a whole number from 1 to 255'],
    ['SEALING_KEY_FILE', `${KEY}\n${KEY}`, 'line 1 needs an id: several keys are "id:hex" lines'],
    ['SEALING_KEY_FILE', '\n# secret\n', 'the file holds no key'],
    ['WRITE_KEYS_FILE', 'secret', 'the file must hold JSON'],
    ['WRITE_KEYS_FILE', '["secret"]', 'the file must hold a JSON object'],
    ['WRITE_KEYS_FILE', '{"secret": {"source": "no spaces"}}', 'write key number 1 needs a "source"'],
    ['API_TOKENS_FILE', '{"secret-token": {"name": "x"}}', 'token number 1 needs "scopes"'],
    ['API_TOKENS_FILE', '{"secret": {"name": "x", "scopes": []}}', 'token number 1 must be 8 to 512'],
    ['API_TOKENS_FILE', '{"secret-token": {"name": "x", "scopes": [""]}}', 'token number 1 needs "scopes"'],
  ])('%s with %j is refused without quoting it', (name, content, rule) => {
    const [problem, ...others] = problemsOf(() => loadConfig({ ...good, [name]: file('bad', content) }));
    expect(problem).toContain(rule);
    expect(problem).not.toContain('secret');
    expect(others).toEqual([]);
  });
});

test('settings of a service join the others', () => {
  const settings = new Settings({ ...good, PARTITIONS: 'x', WORKERS: '0' });
  readConfig(settings);
  settings.integer('WORKERS', { min: 1, max: 4 });
  expect(problemsOf(() => settings.finish())).toHaveLength(2);
});

test.each([
  ['redis://:password@host:6379/0', '"redis://***@host:6379/0"'],
  ['nats://a:b@one,nats://c:d@two', '"nats://***@one,nats://***@two"'],
  ['smtp://u:p@ss@host?key=secret', '"smtp://***@host?***"'],
  ['password', '"password"'],
])('%s is shown as %s', (url, shown) => {
  expect(withoutCredentials(url)).toBe(shown);
});
