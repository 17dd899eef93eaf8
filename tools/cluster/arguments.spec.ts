import { expect, test } from 'vitest';
import { parseArguments, UsageError } from './arguments.ts';

const parse = (line: string, env = {}) => parseArguments(line.split(' ').filter(Boolean), env);

test('everything has a default', () => {
  const args = parse('up');
  expect(args).toMatchObject({ command: 'up', quiet: false, json: false, follow: false, lines: 20, given: [] });
  expect(args.dir).toMatch(/\.data.local$/);
  expect(Object.values(args.up).filter((value) => value !== undefined)).toEqual([]);
});

test('reads the options of up', () => {
  const line = 'up --data /tmp/x --clock=event --partitions 8 --replicas profile=2,journey=3 --only nats,profile';
  const args = parse(`${line} --without mailbox --time-zone Asia/Shanghai --env A=1 --env B=x=y --log-level debug`);
  expect(args.dir).toBe('/tmp/x');
  expect(args.up).toEqual({
    clock: 'event',
    partitions: 8,
    timeZone: 'Asia/Shanghai',
    replicas: { profile: 2, journey: 3 },
    only: ['nats', 'profile'],
    without: ['mailbox'],
    logLevel: 'debug',
    env: { A: '1', B: 'x=y' },
  });
  expect(args.given).toEqual(['only', 'without', 'log-level', 'env', 'time-zone']);
});

test('the folder can come from the environment', () => {
  expect(parse('status', { RECUR_DATA: '/tmp/y' }).dir).toBe('/tmp/y');
  expect(parse('status --data /tmp/x', { RECUR_DATA: '/tmp/y' }).dir).toBe('/tmp/x');
});

test('logs takes names', () => {
  expect(parse('logs profile nats -f -n 5')).toMatchObject({ names: ['profile', 'nats'], follow: true, lines: 5 });
});

test.each(['', '--help', 'up -h', 'help'])('"%s" is a cry for help', (line) => {
  expect(parse(line).command).toBe('help');
});

test.each([
  'start',
  'up now',
  'up --colour',
  'up --partitions four',
  'up --replicas profile',
  'up --replicas nats=2',
  'up --only nats,kafka',
  'up --env A',
  'logs -n -1',
])('"%s" is refused', (line) => {
  expect(() => parse(line)).toThrow(UsageError);
});
