// Everything `npm test` checks, one after the other; the last line counts the tests of all runs.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const reports = join(root, 'dist/reports');
const steps = ['lint', 'typecheck', 'test:unit', 'test:int', 'test:e2e'];

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  success: boolean;
}

function read(prefix: string): { passed: number; failed: number } {
  const files = existsSync(reports) ? readdirSync(reports).filter((file) => file.startsWith(prefix)) : [];
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const report: Report = JSON.parse(readFileSync(join(reports, file), 'utf8'));
    passed += report.numPassedTests;
    // A file that does not even load fails without a failed test in it.
    failed += report.success ? 0 : Math.max(1, report.numFailedTests);
  }
  return { passed, failed };
}

rmSync(reports, { recursive: true, force: true });
const total = { passed: 0, failed: 0 };
const broken: string[] = [];
for (const step of steps) {
  console.log(`\n=== ${step}`);
  const ok = spawnSync('npm', ['run', '--silent', step], { cwd: root, stdio: 'inherit' }).status === 0;
  const counted = step.startsWith('test:') ? read(step.slice('test:'.length)) : { passed: 0, failed: 0 };
  if (!ok) broken.push(step);
  total.passed += counted.passed;
  // A step that breaks without a failed test (lint, a crash) counts as one failure: the last line must not look green.
  total.failed += ok ? counted.failed : Math.max(1, counted.failed);
}

console.log(broken.length > 0 ? `\nfailed: ${broken.join(', ')}` : '\nall steps passed');
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
