import { expect, test } from 'vitest';
import { checkVersion, MINIMUM_NATS } from './nats.ts';
import { RefusalError } from './refusal.ts';

test.each([MINIMUM_NATS, '2.15.1', '2.16.0-dev', '3.0.0', '2.15.0-beta.1'])('%s will do', (version) => {
  expect(() => checkVersion(version)).not.toThrow();
});

test.each(['2.14.9', '2.9.10', '1.99.0', '2.2.15', '0', 'nonsense'])('%s is too old', (version) => {
  expect(() => checkVersion(version)).toThrow(RefusalError);
});
