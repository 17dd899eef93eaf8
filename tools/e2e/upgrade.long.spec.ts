import { expect, test } from 'vitest';
import { rollThrough } from '#tools/upgrade/run.ts';

/** Correct whatever else the machine does; how long partitions stood is shown, and measured by `npm run upgrade`. */
test('every process is replaced under load: nothing lost, nothing double, no read fails', async () => {
  const lines: string[] = [];
  const build = { name: 'this', dist: undefined };
  const result = await rollThrough({
    builds: [build, build],
    replicas: { profile: 2, segmentation: 2 },
    partitions: 4,
    rate: 100,
    say: (line) => lines.push(line),
  });
  const report = lines.join('\n');
  console.log(report);
  expect(result.replaced.map(({ old }) => old)).toEqual(
    'ingest identity profile profile-2 segmentation segmentation-2 journey messaging analytics'.split(' '),
  );
  expect(
    result.balances.filter(({ lost, duplicated }) => lost + duplicated > 0),
    report,
  ).toEqual([]);
  expect(result.balances.every(({ expected }) => expected > 50)).toBe(true);
  expect(result.errors, report).toEqual([]);
  for (const [service, { made }] of Object.entries(result.calls)) expect(made, service).toBeGreaterThan(50);
});
