import { SMTPServer } from 'smtp-server';
import type { Chaos } from './chaos.ts';
import { MailboxFull, type MailStore } from './store.ts';

/** The largest mail taken. */
const SIZE = 10 * 1024 * 1024;

/** An SMTP server that takes every mail and keeps it. It delivers nothing to anybody. */
export function smtpServer(store: MailStore, chaos: Chaos): SMTPServer {
  const server = new SMTPServer({
    banner: 'Recur mailbox: keeps, never delivers',
    logger: false,
    size: SIZE,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    // Senders keep their connections; each may hold one mail in memory, so their number is limited.
    maxClients: 256,
    socketTimeout: 10 * 60_000,
    closeTimeout: 2000,
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        if (stream.byteLength <= SIZE) chunks.push(chunk);
      });
      stream.once('error', callback);
      stream.once('end', () => {
        if (stream.sizeExceeded) return callback(answer(552, 'This mail is larger than the mailbox takes'));
        if (chaos.refuses()) return callback(answer(451, 'Refused, as asked for (chaos)'));
        const sender = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address;
        const to = session.envelope.rcptTo.map(({ address }) => address);
        store.add(Buffer.concat(chunks), sender, to).then(
          async (id) => {
            await chaos.delay();
            if (chaos.losesAnswer()) cutOff(server, session.id);
            else callback(null, `Ok: stored as ${id}`);
          },
          (error: Error) => callback(answer(error instanceof MailboxFull ? 452 : 451, error.message)),
        );
      });
    },
  });
  // Clients that go away in the middle of something are their own affair.
  server.on('error', () => {});
  return server;
}

function answer(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** Ends a connection without another word. The library has no public way to do so. */
function cutOff(server: SMTPServer, sessionId: string): void {
  for (const connection of server.connections) {
    const { id, _socket } = connection as unknown as { id: string; _socket: { destroy(): void } };
    if (id === sessionId) _socket.destroy();
  }
}
