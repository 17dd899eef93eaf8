import type { AddressInfo } from 'node:net';
import { Chaos } from './chaos.ts';
import { httpServer } from './http.ts';
import { smtpServer } from './smtp.ts';
import { MailStore } from './store.ts';

export interface MailboxOptions {
  dir: string;
  /** 0: any free one. */
  smtpPort: number;
  httpPort: number;
  host?: string;
  /** See MailStore. */
  most?: number;
}

export interface Mailbox {
  smtpPort: number;
  httpPort: number;
  store: MailStore;
  close(): Promise<void>;
}

/** A mailbox in this process. The cluster and the test kit run it as a process of its own (main.ts). */
export async function openMailbox(options: MailboxOptions): Promise<Mailbox> {
  const { dir, smtpPort, httpPort, host = '127.0.0.1', most } = options;
  const store = new MailStore(dir, most);
  const chaos = new Chaos();
  const smtp = smtpServer(store, chaos);
  const http = httpServer(store, chaos);
  const listening = (
    server: { once(event: string, listener: (error: Error) => void): unknown },
    listen: (done: () => void) => void,
  ) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      listen(resolve);
    });
  await listening(smtp.server, (done) => smtp.listen(smtpPort, host, done));
  await listening(http, (done) => http.listen(httpPort, host, done));
  return {
    smtpPort: (smtp.server.address() as AddressInfo).port,
    httpPort: (http.address() as AddressInfo).port,
    store,
    close: async () => {
      http.closeAllConnections();
      await Promise.all([
        new Promise<void>((resolve) => http.close(() => resolve())),
        // Mails on their way are taken and answered; senders that only wait are sent away.
        new Promise<void>((resolve) => smtp.close(() => resolve())),
      ]);
      store.close();
    },
  };
}
