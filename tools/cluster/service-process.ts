import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from '#tools/servers/child.ts';
import { pinnedNode, plainEnv, ROOT, saysOk } from '#tools/servers/node.ts';

/** Where `npm run build` puts the services. */
export const DIST = join(ROOT, 'dist');

export interface ServiceProcessOptions {
  /** The folder in dist. */
  service: string;
  name: string;
  env: Record<string, string>;
  logFile: string;
  distDir?: string | undefined;
  detached?: boolean;
  nice?: number | undefined;
  readyTimeoutMs?: number | undefined;
}

/** How a built service is run: the pinned Node, and an environment that holds nothing of this machine. */
export function serviceSpec(options: ServiceProcessOptions): ChildSpec {
  const { service, name, env, logFile, distDir = DIST, detached = false, nice, readyTimeoutMs } = options;
  return {
    name,
    command: pinnedNode(),
    args: [mainOf(service, distDir)],
    env: { ...plainEnv(), ...env },
    logFile,
    detached,
    nice,
    ready: () => saysOk(`http://127.0.0.1:${env.HTTP_PORT}/readyz`),
    ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }),
  };
}

/** Throws when something has not been built. */
export function checkBuilt(services: readonly string[], distDir = DIST): void {
  const missing = services.filter((service) => !existsSync(mainOf(service, distDir)));
  if (missing.length > 0) throw new Error(`Not built: ${missing.join(', ')}. Run: npm run build`);
}

function mainOf(service: string, distDir: string): string {
  return join(distDir, service, 'main.js');
}
