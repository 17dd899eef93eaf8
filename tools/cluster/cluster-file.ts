import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessRef } from '#tools/servers/signals.ts';
import type { Member, Role, ServiceName } from './roles.ts';
import { type Settings, writeJson } from './settings.ts';

/** How a cluster is run, apart from what its data folder is made with. Everything a later restart needs. */
export interface Run {
  /** Its processes live on when who started them ends. */
  detached: boolean;
  logLevel?: string | undefined;
  mailFrom?: string | undefined;
  /** Added to the environment of every service, or of one. */
  env?: Record<string, string> | undefined;
  serviceEnv?: Partial<Record<ServiceName, Record<string, string>>> | undefined;
  distDir?: string | undefined;
  nats?: { syncInterval?: string; config?: string } | undefined;
  redis?: { config?: string } | undefined;
  readyTimeoutMs?: number | undefined;
  /** The programs found or installed. */
  binaries: { nats?: string; redis?: string };
}

export interface RecordedMember extends Member {
  ref?: ProcessRef | undefined;
  startedAt?: string | undefined;
  /** Its build, when it is not the cluster's (`Run.distDir`). */
  distDir?: string | undefined;
}

/** <data>/cluster.json: which processes make up the cluster that runs on this folder. There is none when none runs. */
export interface ClusterFile {
  startedAt: string;
  /** Who started it; an attached cluster ends with it. */
  owner: ProcessRef;
  settings: Settings;
  run: Run;
  members: RecordedMember[];
}

const NAME = 'cluster.json';

export function readClusterFile(dataDir: string): ClusterFile | undefined {
  const file = join(dataDir, NAME);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ClusterFile) : undefined;
}

export function writeClusterFile(dataDir: string, content: ClusterFile): void {
  writeJson(join(dataDir, NAME), content);
}

export function removeClusterFile(dataDir: string): void {
  rmSync(join(dataDir, NAME), { force: true });
}

export function logFileOf(dataDir: string, name: string): string {
  return join(dataDir, 'logs', `${name}.log`);
}

/** Everything a member keeps. */
export function folderOf(dataDir: string, role: Role): string {
  return join(dataDir, role);
}
