import { describe, expect, test } from 'vitest';
import { readCommand } from './options.ts';

describe('readCommand', () => {
  test('takes a name and options, and has defaults', () => {
    const { name, help, options } = readCommand(['e2e', '--events', '1_000_000', '--without', 'analytics,messaging']);
    expect(name).toBe('e2e');
    expect(help).toBe(false);
    expect(options).toMatchObject({ events: 1_000_000, people: 12_000, partitions: 4, bare: true, seconds: undefined });
    expect(options.without).toEqual(['analytics', 'messaging']);
  });

  test.each([
    [['e2e', '--events', '12'], '--events: 12 must be a whole number from 1000 to 50000000'],
    [['e2e', '--rounds', '1.5'], '--rounds: 1.5'],
    [['e2e', '--without', 'profil'], 'there is no profil'],
    [['e2e', 'sink'], 'one bench at a time'],
  ])('refuses %j', (args, message) => {
    expect(() => readCommand(args)).toThrow(message);
  });
});
