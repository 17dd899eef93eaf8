import { expect, test } from 'vitest';
import { addressesOf, checkEncrypted, checkVersion, MINIMUM_NATS } from './nats.ts';
import { RefusalError } from './refusal.ts';

test.each([MINIMUM_NATS, '2.15.1', '2.16.0-dev', '3.0.0', '2.15.0-beta.1'])('%s will do', (version) => {
  expect(() => checkVersion(version)).not.toThrow();
});

test.each(['2.14.9', '2.9.10', '1.99.0', '2.2.15', '0', 'nonsense'])('%s is too old', (version) => {
  expect(() => checkVersion(version)).toThrow(RefusalError);
});

test.each([
  ['nats://one:4222', { servers: ['one:4222'] }],
  ['nats://one:4222, nats://two:4223', { servers: ['one:4222', 'two:4223'] }],
  ['tls://shop:p%40ss@one:4222,tls://two:4222', { servers: ['one:4222', 'two:4222'], user: 'shop', pass: 'p@ss' }],
  ['nats://[::1]:4222', { servers: ['[::1]:4222'] }],
])('%s names %j', (url, named) => {
  expect(addressesOf(url)).toEqual(named);
});

test('encryption that was asked for is not left out', () => {
  expect(() => checkEncrypted('tls://one:4222', { tls_required: true })).not.toThrow();
  expect(() => checkEncrypted('nats://one:4222', {})).not.toThrow();
  expect(() => checkEncrypted('tls://one:4222', {})).toThrow(RefusalError);
});
