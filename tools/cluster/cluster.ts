import { rmSync } from 'node:fs';
import type { Progress } from '#tools/servers/binaries.ts';
import { Child } from '#tools/servers/child.ts';
import { freePort, privatePort, releasePort } from '#tools/servers/ports.ts';
import { portWasTaken } from '#tools/servers/server.ts';
import { isRunning, type ProcessRef } from '#tools/servers/signals.ts';
import {
  type ClusterFile,
  type RecordedMember,
  readClusterFile,
  removeClusterFile,
  writeClusterFile,
} from './cluster-file.ts';
import { addressOf, Endpoints } from './endpoints.ts';
import { isService, type Member, memberOf, type PortName, PREFERRED_PORTS, type ServiceName } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { changePartitions } from './settings.ts';
import { specOf } from './specs.ts';

export type PortChoice = 'preferred' | 'private';

export interface Replacement {
  /** The new one's build; the cluster's own when left out. */
  readonly distDir?: string;
  /** Done before the old one is told to end: taking it out of a balancer, and putting the new one in, which is ready by then. */
  readonly beforeEnd?: (next?: Member) => Promise<void>;
}

interface Running {
  member: RecordedMember;
  child: Child;
}

/** The processes of one data folder. start.ts makes them, open() finds them again. */
export class Cluster {
  readonly dir: string;
  readonly #file: ClusterFile;
  readonly #secrets: Secrets;
  readonly #running = new Map<string, Running>();
  readonly #supervised: boolean;
  readonly #progress: Progress;
  readonly #temporary: boolean;
  #ending = false;

  constructor(
    dir: string,
    file: ClusterFile,
    secrets: Secrets,
    options: { supervise?: boolean; temporary?: boolean; progress?: Progress } = {},
  ) {
    this.dir = dir;
    this.#file = file;
    this.#secrets = secrets;
    this.#supervised = options.supervise ?? false;
    this.#temporary = options.temporary ?? false;
    this.#progress = options.progress ?? (() => {});
    for (const member of file.members) this.#add(member);
  }

  get settings() {
    return this.#file.settings;
  }
  get endpoints(): Endpoints {
    return new Endpoints(this.#file.members, this.#secrets);
  }
  get members(): readonly Member[] {
    return this.#file.members;
  }
  get processes(): Child[] {
    return [...this.#running.values()].map(({ child }) => child);
  }

  /** A process by name: `nats`, `profile`, `profile-2` (the second replica). */
  process(name: string): Child {
    const running = this.#running.get(name);
    if (running === undefined)
      throw new Error(`No process ${name} in this cluster; there are ${[...this.#running.keys()].join(', ')}.`);
    return running.child;
  }

  /**
   * Starts what does not run: servers first, then all services together. Ends what it started when one fails. A port that was free when
   * it was chosen can be somebody else's when its process binds it: then all start again, as all are told of it.
   */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const due = [...this.#running.values()].filter(({ child }) => !child.running);
      try {
        await this.#startAll(due.filter(({ member }) => !isService(member.role)));
        await this.#startAll(due.filter(({ member }) => isService(member.role)));
        return;
      } catch (error) {
        await this.#stopAll(due);
        if (!portWasTaken(error) || attempt === 3 || due.length < this.#running.size) throw error;
        this.#progress(`${error.process.padEnd(14)} found a port taken; all start again, it on others`);
        await this.#giveOtherPorts(error.process);
      }
    }
  }

  async #giveOtherPorts(name: string): Promise<void> {
    const member = this.#file.members.find((each) => each.name === name);
    if (member === undefined) return;
    const before = Object.values(member.ports);
    await assignPorts([member], this.#choice);
    for (const port of before) releasePort(port);
    for (const each of this.#file.members) this.#renew(each);
    this.#write();
  }

  /** Adds or ends replicas of a service. New ones get free ports; the last ones go first. */
  async scale(service: ServiceName, count: number): Promise<void> {
    if (service === 'analytics' && count > 1) throw new Error('analytics can only run once here: see roles.ts.');
    const replicas = this.#file.members.filter(({ role }) => role === service);
    for (const member of replicas.slice(count).reverse()) {
      await this.process(member.name).stop();
      this.#remove(member);
    }
    const next = this.#nextReplica(service);
    const missing = Math.max(0, count - replicas.length);
    await this.#join(Array.from({ length: missing }, (_, i) => memberOf(service, next + i)));
  }

  /**
   * Puts a process in the place of another, as a Deployment does with `maxSurge: 1, maxUnavailable: 0`: the old one is ended when
   * the new one is ready. analytics, of which there can be one only, is ended first, as by a StatefulSet.
   * @returns the name of the new one
   */
  async replace(name: string, { distDir, beforeEnd }: Replacement = {}): Promise<string> {
    const old = this.#file.members.find((member) => member.name === name);
    if (old === undefined || !isService(old.role)) throw new Error(`No service process ${name} in this cluster.`);
    const alone = old.role === 'analytics';
    const replica = alone ? old.replica : this.#nextReplica(old.role);
    const next: RecordedMember = { ...memberOf(old.role, replica), ...(distDir === undefined ? {} : { distDir }) };
    if (alone) {
      await beforeEnd?.();
      await this.process(name).stop();
      this.#forget(old);
      await this.#join([{ ...next, ports: old.ports }]);
    } else {
      await this.#join([next]);
      await beforeEnd?.(next);
      await this.process(name).stop();
      this.#remove(old);
    }
    return next.name;
  }

  /** Its stores have another number of partitions now: every process that is started from here on is told. */
  setPartitions(partitions: number): void {
    changePartitions(this.dir, partitions);
    this.#file.settings = { ...this.#file.settings, partitions };
    for (const member of this.#file.members.filter(({ role }) => isService(role))) this.#renew(member);
    this.#write();
  }

  get #choice(): PortChoice {
    return this.#temporary ? 'private' : 'preferred';
  }

  #nextReplica(service: ServiceName): number {
    return 1 + Math.max(0, ...this.#file.members.filter(({ role }) => role === service).map(({ replica }) => replica));
  }

  /** Gives them ports, unless they have some, and starts them. */
  async #join(added: RecordedMember[]): Promise<void> {
    await assignPorts(
      added.filter(({ ports }) => Object.keys(ports).length === 0),
      this.#choice,
    );
    for (const member of added) {
      this.#file.members.push(member);
      this.#add(member);
    }
    await this.#startAll(added.map((member) => this.#running.get(member.name)).filter((each) => each !== undefined));
    this.#write();
  }

  /** Ends everything: services against the flow of events, so that none loses whom it hands on to, then the servers. */
  async stop(): Promise<void> {
    this.#ending = true;
    await this.#stopAll([...this.#running.values()]);
    removeClusterFile(this.dir);
    for (const { ports } of this.#file.members) for (const port of Object.values(ports)) releasePort(port);
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #add(member: RecordedMember): void {
    const plan = {
      dir: this.dir,
      settings: this.#file.settings,
      run: this.#file.run,
      secrets: this.#secrets,
      members: this.#file.members,
    };
    const spec = specOf(member, plan);
    spec.onStart = (ref) => this.#started(member, ref);
    if (this.#supervised) spec.onAccident = () => void this.#revive(member.name);
    const child = member.ref === undefined ? new Child(spec) : Child.adopt(spec, member.ref);
    this.#running.set(member.name, { member, child });
  }

  /** From its next start it is told what is so now. */
  #renew(member: RecordedMember): void {
    if (!this.process(member.name).running) delete member.ref;
    this.#add(member);
  }

  #remove(member: Member): void {
    this.#forget(member);
    for (const port of Object.values(member.ports)) releasePort(port);
  }

  #forget(member: Member): void {
    this.#running.delete(member.name);
    this.#file.members.splice(this.#file.members.indexOf(member), 1);
    this.#write();
  }

  /** Written down at once: whatever happens to us, `down` finds the process. */
  #started(member: RecordedMember, ref: ProcessRef): void {
    member.ref = ref;
    member.startedAt = new Date().toISOString();
    this.#write();
  }

  #write(): void {
    writeClusterFile(this.dir, this.#file);
  }

  async #startAll(due: Running[]): Promise<void> {
    const starts = due.map(async ({ member, child }) => {
      const begin = performance.now();
      await child.start();
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      this.#progress(`${member.name.padEnd(14)} ready after ${seconds.padStart(4)} s   ${addressOf(member)}`);
    });
    // Not waiting for the others when one fails, but none may go on starting while we stop.
    await Promise.all(starts).catch(async (error) => {
      for (const { child } of due) void child.stop();
      await Promise.allSettled(starts);
      throw error;
    });
  }

  async #stopAll(those: Running[]): Promise<void> {
    const end = async (each: Running[]) => {
      // The signals go out in this order, one after the other; then all are waited for.
      await Promise.all(
        each.toReversed().map(async ({ member, child }) => {
          const how = await child.stop();
          this.#progress(`${member.name.padEnd(14)} ${how === 'killed' ? 'did not end in time, and was killed' : how}`);
        }),
      );
    };
    await end(those.filter(({ member }) => isService(member.role)));
    await end(those.filter(({ member }) => !isService(member.role)));
  }

  /** What Kubernetes would do: start it again, and wait longer each time that fails. */
  async #revive(name: string): Promise<void> {
    for (let wait = 200; ; wait = Math.min(wait * 2, 10_000)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      const child = this.#running.get(name)?.child;
      if (this.#ending || child === undefined || !child.wanted) return;
      try {
        await child.start();
        this.#progress(`${name.padEnd(14)} ended, and was started again`);
        return;
      } catch (error) {
        this.#progress(`${name.padEnd(14)} could not be started again: ${(error as Error).message}`);
      }
    }
  }
}

/** The cluster recorded in a data folder, whoever started it; undefined when none is. */
export function recordedIn(
  dir: string,
): { file: ClusterFile; alive: RecordedMember[]; ownerAlive: boolean } | undefined {
  const file = readClusterFile(dir);
  if (file === undefined) return undefined;
  const alive = file.members.filter(({ ref }) => ref !== undefined && isRunning(ref));
  return { file, alive, ownerAlive: isRunning(file.owner) };
}

export async function assignPorts(members: readonly Member[], choice: PortChoice): Promise<void> {
  for (const { role, ports } of members) {
    for (const [name, preferred] of Object.entries(PREFERRED_PORTS[role]) as Array<[PortName, number]>) {
      ports[name] = choice === 'private' ? await privatePort() : await freePort(preferred);
    }
  }
}
