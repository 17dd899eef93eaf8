import { createTransport } from 'nodemailer';

const CONNECTIONS = 8;
const TEXT =
  'Hello,\n\nit is good to have you with us. Have a look around: free returns within 30 days.\n\nYour shop\n';

/** Hands over so many mails of the size the journeys send, as fast as a plain pool of connections does. */
export async function sendMails(smtpUrl: string, count: number): Promise<void> {
  const pool = createTransport({
    url: smtpUrl,
    pool: true,
    maxConnections: CONNECTIONS,
    maxMessages: Number.POSITIVE_INFINITY,
  });
  let left = count;
  const lane = async () => {
    while (left > 0) {
      const n = left--;
      const mail = { from: 'shop@recur.example', to: `bare-${n}@example.com`, subject: 'Welcome', text: TEXT };
      await pool.sendMail({ ...mail, html: `<p>${TEXT}</p>`, messageId: `<bare-${process.pid}-${n}@recur.example>` });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  pool.close();
}
