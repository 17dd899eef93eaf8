import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Progress } from './binaries.ts';
import type { ChildSpec } from './child.ts';
import { ensureRedis } from './ensure-redis.ts';
import { type Server, serverOf, startOnFreePort } from './server.ts';

export interface RedisOptions {
  /** Everything it keeps: config, append-only file, log. */
  dir: string;
  /** Preferred port; the next free one is taken when it is in use. A private one when left out. */
  port?: number;
  name?: string;
  /** Lines of redis.conf, added as they are (a later line wins over an earlier one). */
  config?: string;
  detached?: boolean;
  logFile?: string;
  progress?: Progress;
}

/** Starts a Redis of its own and waits until it answers PING. */
export async function startRedis(options: RedisOptions): Promise<Server> {
  const binary = await ensureRedis(options);
  const { child, ports } = await startOnFreePort([options.port] as const, ([port]) =>
    redisSpec({ ...options, binary, port }),
  );
  return serverOf(child, ports, redisUrl(ports[0]));
}

export function redisUrl(port: number): string {
  return `redis://127.0.0.1:${port}`;
}

/** How it is run. */
export function redisSpec(options: RedisOptions & { binary: string; port: number }): ChildSpec {
  const { dir, binary, port, name = 'redis', logFile = join(dir, 'redis.log'), detached = false } = options;
  const configFile = join(dir, 'redis.conf');
  return {
    name,
    prepare: () => {
      mkdirSync(dir, { recursive: true });
      writeFileSync(configFile, configOf(options));
    },
    command: binary,
    args: [configFile],
    cwd: dir,
    logFile,
    detached,
    ready: () => answersPing(port),
    // A large append-only file is read at the start.
    readyTimeoutMs: 120_000,
  };
}

function configOf({ dir, port, config = '' }: RedisOptions): string {
  return `bind 127.0.0.1
protected-mode yes
port ${port}
dir ${JSON.stringify(dir)}
daemonize no
logfile ""
# What is kept is the append-only file; kill -9 loses nothing of it, loss of power up to a second, which is folded again.
appendonly yes
appendfsync everysec
save ""
# State is never thrown away to make room: writes are refused instead.
maxmemory-policy noeviction
hash-max-listpack-entries 512
# States are in hashes of some 32; those whose values are shorter than this take no room beside them.
hash-max-listpack-value 2048
${config}
`;
}

/** While it reads its file Redis answers PING with -LOADING, which is not yet ready. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer')));
    socket.once('data', (answer) => {
      socket.destroy();
      resolve(answer.toString().startsWith('+PONG'));
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(false));
  });
}
