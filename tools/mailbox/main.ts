import { parseArgs } from 'node:util';
import { openMailbox } from './mailbox.ts';

const HELP = `A local mailbox: takes every mail by SMTP, keeps it on disk, shows it. Delivers nothing.

  node tools/mailbox/main.ts --dir DIR [--smtp-port 1025] [--http-port 8025] [--host 127.0.0.1]

The page for people is at http://<host>:<http-port>/, the API (like Mailpit's) under /api/v1/.
`;

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    'smtp-port': { type: 'string', default: '1025' },
    'http-port': { type: 'string', default: '8025' },
    host: { type: 'string', default: '127.0.0.1' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help || values.dir === undefined) {
  process.stdout.write(HELP);
  process.exit(values.help ? 0 : 2);
}

const mailbox = await openMailbox({
  dir: values.dir,
  smtpPort: Number(values['smtp-port']),
  httpPort: Number(values['http-port']),
  host: values.host,
});
process.stdout.write(
  `mailbox: smtp ${values.host}:${mailbox.smtpPort}, http ${values.host}:${mailbox.httpPort}, ${mailbox.store.count} mails\n`,
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void mailbox.close().then(() => process.exit(0)));
}
