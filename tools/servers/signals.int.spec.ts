import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { Child, StartError } from './child.ts';
import { identityOf, usageOf } from './identity.ts';
import { lock, tryLock } from './lock.ts';
import { pinnedNode, ROOT } from './node.ts';
import { isRunning, kill, signal, terminate, waitGone } from './signals.ts';

function sleeper() {
  const { pid = 0 } = spawn('sleep', ['60'], { stdio: 'ignore' });
  return { pid, identity: identityOf(pid) ?? '' };
}

test('a process is known by its start, not by its number alone', async () => {
  const process = sleeper();
  expect(isRunning(process)).toBe(true);
  const stranger = { ...process, identity: 'somebody else' };
  expect(signal(stranger, 'SIGKILL')).toBe(false);
  expect(await terminate(stranger, 100)).toBe('was gone');
  expect(isRunning(process)).toBe(true);
  await kill(process);
  expect(isRunning(process)).toBe(false);
});

test('a paused process ends on SIGTERM too; one that will not is killed', async () => {
  const paused = sleeper();
  signal(paused, 'SIGSTOP');
  await expect.poll(async () => (await usageOf([paused.pid], 1)).get(paused.pid)?.paused).toBe(true);
  expect(await terminate(paused, 5000)).toBe('ended');

  const { pid = 0 } = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 0.1; done'], { stdio: 'ignore' });
  const stubborn = { pid, identity: identityOf(pid) ?? '' };
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await terminate(stubborn, 300)).toBe('killed');
});

test('a lock is held by one, and a dead holder does not keep it', async () => {
  const file = join(temporaryDir(), 'a.lock');
  const release = tryLock(file);
  expect(release).toBeDefined();
  expect(tryLock(file)).toBeUndefined();
  const second = lock(file);
  release?.();
  (await second)();
  writeFileSync(file, JSON.stringify({ pid: process.pid, identity: 'an earlier life' }));
  expect(tryLock(file)).toBeDefined();
});

test('who is nice stands back with all threads, and is the process that was started', async () => {
  const logFile = join(temporaryDir(), 'log');
  const args = ['-e', 'new worker_threads.Worker("setInterval(() => {}, 1000)", { eval: true })'];
  const child = await Child.start({
    name: 'nice',
    command: pinnedNode(),
    args,
    nice: 10,
    logFile,
    ready: async () => true,
  });
  const threads = () => readdirSync(`/proc/${child.pid}/task`).map((tid) => getPriority(Number(tid)));
  await expect.poll(() => threads().length).toBeGreaterThan(7);
  expect(new Set(threads())).toEqual(new Set([10]));
  expect(await child.stop()).toBe('ended');
});

test('what could not be started says why', async () => {
  const logFile = join(temporaryDir(), 'log');
  const never = async () => false;
  const start = (command: string, args: string[]) =>
    Child.start({ name: 'thing', command, args, logFile, ready: never, readyTimeoutMs: 300 });
  await expect(start('/no/such/program', [])).rejects.toThrow('could not be started');
  await expect(start('sh', ['-c', 'echo the reason; exit 3'])).rejects.toThrow(/ended.*exit code 3.*the reason/s);
  await expect(start('sleep', ['60'])).rejects.toThrow(StartError);
});

test('two starts at once make one process', async () => {
  const logFile = join(temporaryDir(), 'log');
  const child = new Child({
    name: 'thing',
    command: 'sh',
    args: ['-c', 'echo here; sleep 60'],
    logFile,
    ready: async () => true,
  });
  await Promise.all([child.start(), child.start()]);
  await expect.poll(() => child.logTail()).toBe('here');
  await child.kill9();
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test('children and folders go when we are killed', async () => {
  const dir = temporaryDir();
  const doomed = join(dir, 'doomed folder');
  mkdirSync(doomed);
  const script = `
    const { Child } = await import('#tools/servers/child.ts');
    const { deleteWithUs } = await import('#tools/servers/watchdog.ts');
    deleteWithUs(process.env.DOOMED);
    const start = (args) => Child.start({ name: 'x', command: 'sh', args, logFile: process.env.LOG, ready: async () => true });
    const normal = await start(['-c', 'exec sleep 60']);
    const paused = await start(['-c', 'exec sleep 61']);
    paused.pause();
    const ended = await start(['-c', 'exec sleep 62']);
    await ended.stop();
    console.log(JSON.stringify([normal.ref, paused.ref]));
    setInterval(() => {}, 1000);`;
  const parent = spawn(pinnedNode(), ['--input-type=module', '-e', script], {
    cwd: ROOT,
    env: { ...process.env, DOOMED: doomed, LOG: join(dir, 'log') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(parent.stdout, 'data');
  const children = JSON.parse(String(line));
  expect(children.map(isRunning)).toEqual([true, true]);
  parent.kill('SIGKILL');
  for (const child of children) expect(await waitGone(child, 8000)).toBe(true);
  await expect.poll(() => existsSync(doomed), { timeout: 8000 }).toBe(false);
});
