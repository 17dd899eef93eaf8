import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '#tools/servers/node.ts';
import { canHaveK6, ensureK6 } from './ensure-k6.ts';
import { runLoad } from './run.ts';

// Without k6, and without Go to build it, these do not run, and are not counted as passed.
const can = await canHaveK6();
if (!can) console.warn('NOT RUN: the load smoke. There is no k6 on this machine, and no Go to build one.');

/** A first build of k6 is minutes of two cores. */
const timeout = 600_000;

test.skipIf(!can)('smoke: every call answers, and what was accepted arrives once', { timeout }, async () => {
  const lines: string[] = [];
  const report = await runLoad('smoke', { seconds: 10, say: (line) => lines.push(line) });
  expect(report.broken_thresholds, lines.join('\n')).toEqual([]);
  expect(report.calls.map(({ call }) => call)).toEqual([
    'http batch',
    'http track',
    'grpc SendEvents',
    'grpc GetProfile',
  ]);
  for (const { call, calls } of report.calls) expect(calls, call).toBeGreaterThan(5);
  expect(report.accepted_events).toBeGreaterThan(1_000);
  expect(report).toMatchObject({ lost: 0, double: 0, passed: true });
});

test.skipIf(!can)('the same load against nobody breaks its thresholds', { timeout }, async () => {
  const nobody = {
    INGEST_URL: 'http://127.0.0.1:9',
    INGEST_ADDR: '127.0.0.1:9',
    PROFILE_ADDR: '127.0.0.1:9',
    SECONDS: '2',
  };
  const args = [
    'run',
    '--quiet',
    '--no-usage-report',
    '--address',
    '',
    '--include-system-env-vars',
    join(ROOT, 'loadtest/scripts/smoke.js'),
  ];
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PROTO: join(ROOT, 'proto'), ...nobody };
  const { status } = spawnSync(await ensureK6(), args, { env, timeout: 60_000 });
  expect(status).toBe(99);
});
