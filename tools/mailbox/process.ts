import { join } from 'node:path';
import type { ChildSpec } from '#tools/servers/child.ts';
import { pinnedNode, plainEnv, ROOT, saysOk } from '#tools/servers/node.ts';
import { type Server, serverOf, startOnFreePort } from '#tools/servers/server.ts';

export interface MailboxProcessOptions {
  dir: string;
  /** Preferred ports; private ones when left out. */
  smtpPort?: number;
  httpPort?: number;
  detached?: boolean;
  logFile?: string;
}

/** `url` is the SMTP one, `httpUrl` the API and the page. */
export interface MailboxServer extends Server {
  httpUrl: string;
}

export async function startMailbox(options: MailboxProcessOptions): Promise<MailboxServer> {
  const preferred = [options.smtpPort, options.httpPort] as const;
  const { child, ports } = await startOnFreePort(preferred, ([smtpPort, httpPort]) =>
    mailboxSpec({ ...options, smtpPort, httpPort }),
  );
  return Object.assign(serverOf(child, ports, smtpUrl(ports[0])), { httpUrl: `http://127.0.0.1:${ports[1]}` });
}

export function smtpUrl(port: number): string {
  return `smtp://127.0.0.1:${port}`;
}

export function mailboxSpec(options: MailboxProcessOptions & { smtpPort: number; httpPort: number }): ChildSpec {
  const { dir, smtpPort, httpPort, logFile = join(dir, 'mailbox.log'), detached = false } = options;
  const main = join(ROOT, 'tools', 'mailbox', 'main.ts');
  // Thousands of mails a second are much short-lived garbage. Without a limit on its nursery the process grows to
  // 300 MB; with one only on the rest of the heap the nursery leaves no room for it, and it does nothing but collect.
  const memory = ['--max-semi-space-size=8', '--max-old-space-size=256'];
  return {
    name: 'mailbox',
    command: pinnedNode(),
    args: [...memory, main, '--dir', dir, '--smtp-port', String(smtpPort), '--http-port', String(httpPort)],
    env: plainEnv(),
    logFile,
    detached,
    ready: () => saysOk(`http://127.0.0.1:${httpPort}/readyz`),
  };
}
