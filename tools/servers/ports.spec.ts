import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, isPortFree, privatePort, releasePort } from './ports.ts';

test('a port somebody listens on is passed over, whatever the address', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const port = await privatePort();
    const server = createServer().listen(port, host);
    await once(server, 'listening');
    releasePort(port);
    expect(await isPortFree(port)).toBe(false);
    const next = await freePort(port);
    expect(next).toBeGreaterThan(port);
    releasePort(next);
    server.close();
  }
});

test('the same port is given out once, also to callers that ask at the same time', async () => {
  const start = await privatePort();
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort(start)));
  expect(new Set([start, ...ports]).size).toBe(21);
  for (const port of [start, ...ports]) releasePort(port);
});

test('there is an end to looking', async () => {
  await expect(freePort(65_536)).rejects.toThrow('No free port');
});
