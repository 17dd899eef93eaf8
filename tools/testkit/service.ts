import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceEnv } from '#tools/cluster/environment.ts';
import type { Role } from '#tools/cluster/roles.ts';
import { type Secrets, secretsIn } from '#tools/cluster/secrets.ts';
import { checkBuilt, serviceSpec } from '#tools/cluster/service-process.ts';
import { Child, type Exit } from '#tools/servers/child.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';

export interface SpawnOptions {
  /** Distinguishes several processes of one service. 1 when left out. */
  replica?: number;
  /** Where the built services are. */
  distDir?: string;
  readyTimeoutMs?: number;
  /** Do not wait until it is ready: for a service that must fail, or wait for a store. */
  ready?: boolean;
}

/** A built service as a process of its own, on free ports. */
export interface SpawnedService {
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** What it was started with. */
  readonly env: Readonly<Record<string, string>>;
  /** host:port of its gRPC server. */
  readonly grpcAddr: string;
  /** Its HTTP server: /readyz, /metrics, and what else it serves. */
  readonly httpUrl: string;
  /** How it ended, once it has: resolves after a crash point killed it, for example. */
  readonly exited: Promise<Exit>;
  ready(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Starts it again on the same ports, with these changes to its environment (undefined takes a variable out). */
  restart(changes?: Record<string, string | undefined>): Promise<void>;
  /** What it has logged since it was started last. */
  logs(lines?: number): string;
}

let home: { dir: string; secrets: Secrets } | undefined;

/** One folder for all services of this test process: they must share their keys to understand each other. */
function homeOfServices() {
  if (home === undefined) {
    const dir = mkdtempSync(join(tmpdir(), 'recur-services-'));
    deleteWithUs(dir);
    home = { dir, secrets: secretsIn(dir) };
  }
  return home;
}

/** The keys services are given by spawnService, for tests that send events or call APIs. */
export function testSecrets(): Secrets {
  return homeOfServices().secrets;
}

let spawned = 0;

/**
 * Runs dist/<service>/main.js with the pinned Node and waits until it is ready. `env` must name the stores (NATS_URL,
 * REDIS_URL) and the peers it calls; ports, keys and the rest have defaults. It ends with the test process.
 */
export async function spawnService(
  service: string,
  env: Record<string, string> = {},
  options: SpawnOptions = {},
): Promise<SpawnedService> {
  const { replica = 1, distDir, readyTimeoutMs, ready = true } = options;
  checkBuilt([service], distDir);
  const { dir, secrets } = homeOfServices();
  const number = ++spawned;
  const ports = {
    http: Number(env.HTTP_PORT ?? (await privatePort())),
    grpc: Number(env.GRPC_PORT ?? (await privatePort())),
    ...(service === 'analytics' ? { clickhouse: Number(env.CLICKHOUSE_HTTP_PORT ?? (await privatePort())) } : {}),
  };
  const defaults = serviceEnv(
    { name: service, role: service as Role, replica, ports },
    {
      settings: { partitions: 4, clock: 'live', timeZone: 'UTC' },
      natsUrl: '',
      redisUrl: '',
      secrets: secrets.files,
      peers: {},
      analyticsDir: join(dir, `analytics-${number}`),
    },
  );
  const full: Record<string, string> = { ...defaults, ...env };
  const specWith = (envOfProcess: Record<string, string>) =>
    serviceSpec({
      service,
      name: service,
      env: envOfProcess,
      logFile: join(dir, `${number}-${service}.log`),
      distDir,
      readyTimeoutMs,
    });
  let current = full;
  let child = new Child(specWith(full));
  const starting = child.start();
  if (ready) await starting;
  else starting.catch(() => {}); // seen through `exited` and `ready`

  return {
    name: service,
    grpcAddr: `127.0.0.1:${ports.grpc}`,
    httpUrl: `http://127.0.0.1:${ports.http}`,
    get pid() {
      return child.pid;
    },
    get running() {
      return child.running;
    },
    get env() {
      return current;
    },
    get exited() {
      return child.exited;
    },
    ready: (timeoutMs) => child.ready(timeoutMs),
    stop: async () => void (await child.stop()),
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: async (changes = {}) => {
      await child.stop();
      const merged = Object.entries({ ...current, ...changes }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      current = Object.fromEntries(merged);
      child = new Child(specWith(current));
      await child.start();
    },
    logs: (lines = 200) => child.logTail(lines),
  };
}
