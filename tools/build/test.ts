// Everything `npm test` checks, one after the other; the last lines name what failed and count the tests of all runs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '../..');
const reports = join(root, 'dist/reports');
const steps = ['lint', 'typecheck', 'test:unit', 'test:int', 'test:e2e'];

/** What is used of vitest's JSON report. A file that does not load has a message and no results. */
interface Report {
  numPassedTests: number;
  success: boolean;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

const LINES_OF_A_FAILURE = 12;

/** Each failed test by file and name, with the beginning of what it said: whoever reads only the end of a long log knows where to look. */
function failures({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [told(file, message)] : [];
    return failed.map((test) => told(`${file} > ${test.fullName}`, test.failureMessages.join('\n')));
  });
}

function told(what: string, message: string): string {
  const lines = message.split('\n').slice(0, LINES_OF_A_FAILURE);
  return [what, ...lines.map((line) => `    ${line}`)].join('\n');
}

function read(prefix: string): { passed: number; failed: number; failures: string[] } {
  const files = existsSync(reports) ? readdirSync(reports).filter((file) => file.startsWith(prefix)) : [];
  let passed = 0;
  let failed = 0;
  const named: string[] = [];
  for (const file of files) {
    const report: Report = JSON.parse(readFileSync(join(reports, file), 'utf8'));
    passed += report.numPassedTests;
    const found = failures(report);
    failed += report.success ? 0 : Math.max(1, found.length);
    named.push(...found);
  }
  return { passed, failed, failures: named };
}

rmSync(reports, { recursive: true, force: true });
const ahead = spawn(process.execPath, [join(root, 'loadtest/get-ahead.ts')], { stdio: 'ignore' });
const total = { passed: 0, failed: 0 };
const broken: string[] = [];
const named: string[] = [];
for (const step of steps) {
  console.log(`\n=== ${step}`);
  const ok = spawnSync('npm', ['run', '--silent', step], { cwd: root, stdio: 'inherit' }).status === 0;
  const counted = step.startsWith('test:') ? read(step.slice('test:'.length)) : { passed: 0, failed: 0, failures: [] };
  if (!ok) broken.push(step);
  named.push(...counted.failures);
  total.passed += counted.passed;
  // A step that breaks without a failed test (lint, a crash) counts as one failure: the last line must not look green.
  total.failed += ok ? counted.failed : Math.max(1, counted.failed);
}

if (named.length > 0) console.log(`\n=== what failed\n\n${named.join('\n\n')}`);
console.log(broken.length > 0 ? `\nfailed: ${broken.join(', ')}` : '\nall steps passed');
console.log(`${total.passed} passed, ${total.failed} failed`);
ahead.kill();
process.exitCode = total.failed > 0 ? 1 : 0;
