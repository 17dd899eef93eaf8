import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '#tools/cluster/cluster.ts';

export interface Kill {
  /** Milliseconds since the first moment. */
  readonly atMs: number;
  readonly process: string;
}

/**
 * Kills processes of a supervised cluster with kill -9, one after the other, at moments and in an order that a seed decides.
 * What happens to run at that moment differs from run to run; the plan does not.
 */
export class Nemesis {
  readonly kills: Kill[] = [];
  readonly seed: number;
  private readonly cluster: Cluster;
  private readonly victims: readonly string[];
  private readonly random: () => number;
  private ending = false;
  private work: Promise<void> | undefined;

  constructor(cluster: Cluster, options: { seed: number; victims: readonly string[] }) {
    this.cluster = cluster;
    this.seed = options.seed;
    this.victims = options.victims;
    this.random = mulberry32(options.seed);
  }

  /** @param everyMs shortest and longest time between two kills */
  start(everyMs: readonly [number, number]): void {
    this.work = this.run(everyMs);
  }

  /** Kills nobody any more, once at least so many were killed; resolves when all of them run again. */
  async stop(least: number): Promise<void> {
    while (this.kills.length < least) await sleep(50);
    this.ending = true;
    await this.work;
    await Promise.all(this.victims.map((name) => this.runs(name)));
  }

  /** One that ended at its start, because the last kill was of a server it needs, is started again by the cluster. */
  private async runs(name: string): Promise<void> {
    for (let left = 10; ; left--) {
      try {
        return await this.cluster.process(name).start();
      } catch (error) {
        if (left === 0) throw error;
        await sleep(1_000);
      }
    }
  }

  get report(): string {
    const list = this.kills.map(({ atMs, process }) => `${(atMs / 1000).toFixed(2)} s ${process}`).join(', ');
    return `seed ${this.seed}, ${this.kills.length} kills: ${list}`;
  }

  private async run([least, most]: readonly [number, number]): Promise<void> {
    const started = performance.now();
    // Each round is a shuffle of all, so that everybody gets its turn.
    for (let round: string[] = []; ; ) {
      await sleep(least + this.random() * (most - least));
      if (this.ending) return;
      if (round.length === 0) round = shuffled(this.victims, this.random);
      const name = round.pop() as string;
      const child = this.cluster.process(name);
      // One that is being started counts too: a crash at start is a crash.
      if (!child.running) continue;
      await child.kill9();
      this.kills.push({ atMs: performance.now() - started, process: name });
    }
  }
}

function shuffled(names: readonly string[], random: () => number): string[] {
  const left = [...names];
  const out: string[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(random() * left.length), 1));
  return out;
}

function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
