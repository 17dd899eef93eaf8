import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Progress } from './binaries.ts';
import type { ChildSpec } from './child.ts';
import { ensureNats } from './ensure-nats.ts';
import { type Server, serverOf, startOnFreePort } from './server.ts';

export interface NatsOptions {
  /** Everything it keeps: config, JetStream files, log. */
  dir: string;
  /** Preferred port; the next free one is taken when it is in use. A private one when left out. */
  port?: number;
  monitorPort?: number;
  name?: string;
  /** 'always' or a duration; the server's own default (2m) when left out. */
  syncInterval?: string;
  /** Lines of nats-server configuration, added as they are. */
  config?: string;
  detached?: boolean;
  logFile?: string;
  progress?: Progress;
}

export interface NatsServer extends Server {
  monitorUrl: string;
}

/** Starts a JetStream server of its own and waits until JetStream answers. */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const binary = await ensureNats(options);
  const preferred = [options.port, options.monitorPort] as const;
  const { child, ports } = await startOnFreePort(preferred, ([port, monitorPort]) =>
    natsSpec({ ...options, binary, port, monitorPort }),
  );
  return Object.assign(serverOf(child, ports, natsUrl(ports[0])), { monitorUrl: `http://127.0.0.1:${ports[1]}` });
}

export function natsUrl(port: number): string {
  return `nats://127.0.0.1:${port}`;
}

/** How it is run. */
export function natsSpec(options: NatsOptions & { binary: string; port: number; monitorPort: number }): ChildSpec {
  const { dir, binary, port, name = 'nats', logFile = join(dir, 'nats.log'), detached = false } = options;
  const configFile = join(dir, 'nats.conf');
  return {
    name,
    prepare: () => {
      mkdirSync(dir, { recursive: true });
      writeFileSync(configFile, configOf(options));
    },
    command: binary,
    args: ['-c', configFile],
    cwd: dir,
    logFile,
    detached,
    ready: () => jetStreamAnswers(natsUrl(port)),
    // Files of a large stream are checked at the start.
    readyTimeoutMs: 120_000,
  };
}

function configOf({ dir, name = 'nats', port, monitorPort, syncInterval, config = '' }: NatsOptions): string {
  return `server_name: ${JSON.stringify(name)}
host: "127.0.0.1"
port: ${port}
http: "127.0.0.1:${monitorPort}"
# A frame is many records, and may be larger than the usual 1 MB.
max_payload: 8MB
jetstream {
  store_dir: ${JSON.stringify(join(dir, 'jetstream'))}
${syncInterval === undefined ? '' : `  sync_interval: ${JSON.stringify(syncInterval)}\n`}}
${config}
`;
}

/** A server that accepts connections may still be reading its streams: ask JetStream itself. */
async function jetStreamAnswers(url: string): Promise<boolean> {
  const connection = await connect({ servers: url, reconnect: false, timeout: 2000 });
  try {
    await (await jetstreamManager(connection, { timeout: 2000 })).getAccountInfo();
    return true;
  } finally {
    await connection.close();
  }
}
