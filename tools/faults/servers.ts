import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, type ChildSpec } from '#tools/servers/child.ts';
import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { ensureRedis } from '#tools/servers/ensure-redis.ts';
import { natsSpec, natsUrl } from '#tools/servers/nats.ts';
import { pinnedNode, ROOT } from '#tools/servers/node.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { redisSpec, redisUrl } from '#tools/servers/redis.ts';

/** Small file systems that can be filled without filling the machine's. */
const NATS_DISK_MB = 768;
const REDIS_DISK_MB = 256;
const REVIVE_MS = 200;

/** A process that is started again when it dies, as Kubernetes would. */
export class Supervised {
  readonly child: Child;
  #ending = false;

  constructor(spec: ChildSpec) {
    this.child = new Child({ ...spec, onAccident: () => void this.#revive() });
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.child.kill9();
    await this.child.stop();
  }

  async #revive(): Promise<void> {
    for (let wait = REVIVE_MS; !this.#ending; wait = Math.min(wait * 2, 5_000)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#ending) return;
      const up = await this.child.start().then(
        () => true,
        () => false,
      );
      if (up) return;
    }
  }
}

export interface NatsNode extends Supervised {
  readonly name: string;
  readonly url: string;
  readonly monitorUrl: string;
}

/** Three NATS servers, a Redis and a ClickHouse that faults can do anything to. */
export class FaultServers {
  readonly nats: readonly NatsNode[];
  readonly redis: Supervised;
  readonly redisUrl: string;
  readonly clickhouse: Supervised;
  readonly clickhousePort: number;
  /** Whether the stores are on file systems of their own, which may be filled. */
  readonly smallDisks: boolean;
  readonly #dir: string;

  private constructor(dir: string, parts: Omit<FaultServers, 'natsUrls' | 'stop' | 'fill' | 'aofBytes' | 'cutAof'>) {
    this.#dir = dir;
    this.nats = parts.nats;
    this.redis = parts.redis;
    this.redisUrl = parts.redisUrl;
    this.clickhouse = parts.clickhouse;
    this.clickhousePort = parts.clickhousePort;
    this.smallDisks = parts.smallDisks;
  }

  get natsUrls(): string {
    return this.nats.map(({ url }) => url).join(',');
  }

  static async start(dir: string): Promise<FaultServers> {
    const smallDisks = mountSmall(join(dir, 'nats'), NATS_DISK_MB) && mountSmall(join(dir, 'redis'), REDIS_DISK_MB);
    const nats = await natsNodes(join(dir, 'nats'));
    const port = await privatePort();
    const redis = new Supervised(redisSpec({ dir: join(dir, 'redis'), binary: await ensureRedis({}), port }));
    const clickhousePort = await privatePort();
    const clickhouse = new Supervised(clickHouseSpec(join(dir, 'clickhouse'), clickhousePort));
    const servers = new FaultServers(dir, {
      nats,
      redis,
      redisUrl: redisUrl(port),
      clickhouse,
      clickhousePort,
      smallDisks,
    });
    try {
      // A member alone has no leader to answer for JetStream: all three are started together.
      await Promise.all([...nats, redis, clickhouse].map(({ child }) => child.start()));
    } catch (error) {
      await servers.stop();
      throw error;
    }
    return servers;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nats, this.redis, this.clickhouse].map((each) => each.stop()));
    for (const disk of ['nats', 'redis']) unmount(join(this.#dir, disk));
  }

  /** Fills the disk of a store; the result makes room again. */
  fill(store: 'nats' | 'redis'): () => void {
    const ballast = join(this.#dir, store, 'ballast');
    const { bavail, bsize } = statfsSync(join(this.#dir, store));
    const chunk = Buffer.alloc(1 << 20);
    try {
      for (let left = bavail * bsize + chunk.length; left > 0; left -= chunk.length) {
        writeFileSync(ballast, chunk, { flag: 'a' });
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    return () => rmSync(ballast, { force: true });
  }

  aofBytes(): number {
    return statSync(this.#aof()).size;
  }

  /** What Redis has written since is gone, as after a loss of power. To be called while it stands still. */
  cutAof(bytes: number): void {
    truncateSync(this.#aof(), bytes);
  }

  #aof(): string {
    const folder = join(this.#dir, 'redis', 'appendonlydir');
    const last = readdirSync(folder)
      .filter((name) => name.endsWith('.incr.aof'))
      .sort((a, b) => numberOf(a) - numberOf(b))
      .at(-1);
    if (last === undefined) throw new Error(`There is no append-only file in ${folder}.`);
    return join(folder, last);
  }
}

const numberOf = (name: string): number => Number(/\.(\d+)\.incr/.exec(name)?.[1] ?? 0);

/** False where the machine does not allow it. Mounts are of this process's own namespace (see cli.ts) and end with it. */
function mountSmall(dir: string, megabytes: number): boolean {
  mkdirSync(dir, { recursive: true });
  if (process.env.RECUR_FAULTS_OWN_MOUNTS !== '1') return false;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A folder that is a disk of its own cannot be deleted; where none was mounted there is nothing to do. */
function unmount(dir: string): void {
  spawnSync('umount', ['--lazy', dir], { stdio: 'ignore' });
}

async function natsNodes(dir: string): Promise<NatsNode[]> {
  const binary = await ensureNats({});
  const names = ['nats-0', 'nats-1', 'nats-2'];
  const routes: number[] = [];
  for (const _ of names) routes.push(await privatePort());
  const list = routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
  const nodes: NatsNode[] = [];
  for (const [i, name] of names.entries()) {
    const [port, monitorPort] = [await privatePort(), await privatePort()];
    const config = `cluster { name: faults, host: "127.0.0.1", port: ${routes[i]}, no_advertise: true, routes: [${list}] }`;
    const spec = natsSpec({ dir: join(dir, name), name, binary, port, monitorPort, syncInterval: 'always', config });
    nodes.push(
      Object.assign(new Supervised(spec), {
        name,
        url: natsUrl(port),
        monitorUrl: `http://127.0.0.1:${monitorPort}`,
      }),
    );
  }
  return nodes;
}

function clickHouseSpec(dir: string, port: number): ChildSpec {
  mkdirSync(dir, { recursive: true });
  return {
    name: 'clickhouse',
    command: pinnedNode(),
    args: [join(ROOT, 'services/analytics/test/clickhouse-server.ts'), dir, String(port)],
    cwd: ROOT,
    logFile: join(dir, 'clickhouse.log'),
    // Any answer will do: before the first migration there is no database to ask.
    ready: async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0,
  };
}
