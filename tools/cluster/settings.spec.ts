import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { membersOf } from './roles.ts';
import { secretsIn } from './secrets.ts';
import { settingsFor } from './settings.ts';

test('a folder keeps what it was made with', () => {
  const dir = temporaryDir();
  const made = settingsFor(dir, { partitions: 8, clock: 'event', timeZone: 'Europe/London' });
  expect(settingsFor(dir, {})).toEqual(made);
  expect(() => settingsFor(dir, { partitions: 4 })).toThrow('made with partitions 8 and cannot be opened with 4');
  expect(() => settingsFor(dir, { clock: 'live' })).toThrow('made with clock event and cannot be opened with live');
  expect(settingsFor(dir, {})).toEqual(made);
  expect(settingsFor(dir, { timeZone: 'Asia/Shanghai' })).toEqual({ ...made, timeZone: 'Asia/Shanghai' });
});

test.each([{ partitions: 0 }, { partitions: 1.5 }, { clock: 'slow' as 'live' }, { timeZone: 'Mars/Olympus' }])(
  'refuses %j, and leaves no folder half made',
  (asked) => {
    const dir = temporaryDir();
    expect(() => settingsFor(dir, asked)).toThrow();
    expect(readdirSync(dir)).toEqual([]);
  },
);

test('secrets are made once, and only their owner reads them', () => {
  const dir = temporaryDir();
  const secrets = secretsIn(dir);
  expect(secretsIn(dir)).toEqual(secrets);
  for (const file of Object.values(secrets.files)) expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(dir, 'secrets')).mode & 0o777).toBe(0o700);
  expect(readFileSync(secrets.files.identifierKey, 'utf8').trim()).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(secrets.files.sealingKey, 'utf8')).not.toBe(readFileSync(secrets.files.identifierKey, 'utf8'));
  const writeKeys = JSON.parse(readFileSync(secrets.files.writeKeys, 'utf8'));
  expect(writeKeys[secrets.writeKey]).toEqual({ source: 'web' });
  for (const [source, key] of Object.entries(secrets.writeKeys)) expect(writeKeys[key]).toEqual({ source });
  expect(JSON.parse(readFileSync(secrets.files.apiTokens, 'utf8'))).toEqual({
    [secrets.apiToken]: { name: 'local', scopes: ['*'] },
  });
  expect(secretsIn(temporaryDir()).apiToken).not.toBe(secrets.apiToken);
});

test('members: in order, with replicas, without what is not wanted', () => {
  const names = (wanted: Parameters<typeof membersOf>[0]) => membersOf(wanted).map(({ name }) => name);
  expect(names({})).toEqual(
    'nats redis mailbox ingest identity profile segmentation journey messaging analytics'.split(' '),
  );
  expect(names({ only: ['profile', 'nats'], replicas: { profile: 3 } })).toEqual([
    'nats',
    'profile',
    'profile-2',
    'profile-3',
  ]);
  expect(names({ only: ['nats', 'redis'], without: ['redis'] })).toEqual(['nats']);
  expect(() => names({ replicas: { analytics: 2 } })).toThrow('only run once');
});
