import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { type ClusterOptions, startCluster } from '#tools/cluster/start.ts';
import { type Api, closeApi, connectApi } from '#tools/library/api.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { Quiescence } from './quiescence.ts';

/** To look at logs and data afterwards. */
const KEEP = process.env.RECUR_E2E_KEEP !== undefined;

/** A cluster of a test's own, with everything at hand that a test asks it by. */
export class ShopCluster {
  readonly cluster: Cluster;
  readonly api: Api;
  readonly quiescence: Quiescence;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.api = connectApi(cluster.endpoints);
    this.quiescence = new Quiescence(cluster);
  }

  /** @param secretsOf another cluster's folder: with the same keys the same people have the same identifiers. */
  static async start(options: ClusterOptions, secretsOf?: string): Promise<ShopCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'recur-e2e-'));
    if (!KEEP) deleteWithUs(dir);
    if (secretsOf !== undefined) {
      mkdirSync(dir, { recursive: true });
      cpSync(join(secretsOf, 'secrets'), join(dir, 'secrets'), { recursive: true });
    }
    return new ShopCluster(await startCluster({ ports: 'private', logLevel: 'warn', ...options, dir }));
  }

  get endpoints() {
    return this.cluster.endpoints;
  }

  async stop(): Promise<void> {
    closeApi(this.api);
    await this.quiescence.close();
    await this.cluster.stop();
    if (KEEP) console.log(`kept: ${this.cluster.dir}`);
    else rmSync(this.cluster.dir, { recursive: true, force: true });
  }
}
