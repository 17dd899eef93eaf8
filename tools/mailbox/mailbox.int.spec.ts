import { connect } from 'node:net';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startServers } from '#tools/testkit/servers.ts';
import type { Letter, Summary } from './letter.ts';
import type { MailboxServer } from './process.ts';

let mailbox: MailboxServer;
let stop: () => Promise<void>;
beforeAll(async () => ({ mailbox, stop } = await startServers({ mailbox: true })));
afterAll(() => stop());
beforeEach(async () => {
  await call('/api/v1/messages', { method: 'DELETE' });
  await chaos({});
});

async function call(path: string, init: RequestInit = {}) {
  const response = await fetch(mailbox.httpUrl + path, init);
  return { status: response.status, text: await response.text() };
}
const json = async <T>(path: string) => JSON.parse((await call(path)).text) as T;
const search = async (id: string) => json<Found>(`/api/v1/search?query=${encodeURIComponent(`message-id:${id}`)}`);
interface Found {
  total: number;
  messages: Summary[];
}
const chaos = (settings: object) => call('/api/v1/chaos', { method: 'PUT', body: JSON.stringify(settings) });

const transport = (pool = false) => createTransport({ url: mailbox.url, pool: pool as true, ignoreTLS: true });
const mail = (id: string) => ({
  messageId: `<${id}>`,
  from: 'Tea Shop <shop@example.com>',
  to: 'anna@example.com',
  bcc: 'audit@example.com',
  subject: '新茶到了 · Fresh tea for you',
  text: 'Hello\n.\nAnna',
  html: '<p>Hello <b>Anna</b></p>',
});

test('a mail is taken, listed, found by its Message-ID and shown', async () => {
  const sent = await transport().sendMail(mail('one@example.com'));
  expect(sent.response).toMatch(/^250 .*stored as/);

  const list = await json<Found>('/api/v1/messages?limit=10');
  expect(list).toMatchObject({ total: 1, count: 1, start: 0 });
  expect(list.messages[0]).toMatchObject({
    MessageID: 'one@example.com',
    From: { Name: 'Tea Shop', Address: 'shop@example.com' },
    To: [{ Address: 'anna@example.com' }, { Address: 'audit@example.com' }],
    Subject: '新茶到了 · Fresh tea for you',
  });
  const ID = list.messages[0]?.ID;
  const letter = await json<Letter>(`/api/v1/message/${ID}`);
  expect(letter.HTML.trim()).toBe('<p>Hello <b>Anna</b></p>');
  expect(letter.Text.trim()).toBe('Hello\n.\nAnna');
  expect((await call(`/api/v1/message/${ID}/raw`)).text).toContain('Message-ID: <one@example.com>');

  for (const id of ['one@example.com', '<one@example.com>', '"one@example.com"']) {
    expect((await search(id)).messages.map((found) => found.ID)).toEqual([ID]);
  }
  expect((await search('one@example.co')).total).toBe(0);
  expect((await call('/')).text).toContain(`/mail?id=${ID}`);
  expect((await call(`/mail?id=${ID}`)).text).toContain('sandbox=""');
});

test('every mail that was answered survives kill -9 in the middle of many', async () => {
  const sender = createTransport({ url: mailbox.url, pool: true, maxConnections: 5, ignoreTLS: true });
  const answered: string[] = [];
  const sends = Array.from({ length: 400 }, async (_, i) => {
    await sender.sendMail(mail(`m${i}@example.com`));
    answered.push(`m${i}@example.com`);
  });
  const all = Promise.allSettled(sends);
  await expect.poll(() => answered.length, { interval: 1 }).toBeGreaterThan(50);
  await mailbox.kill9();
  sender.close();
  await all;
  await mailbox.restart();

  const { messages } = await json<Found>('/api/v1/messages?limit=1000');
  const stored = messages.map(({ MessageID }) => MessageID);
  expect(answered.filter((id) => !stored.includes(id))).toEqual([]);
  expect(new Set(stored).size).toBe(stored.length);
});

test('a lost answer: the sender sees an error, and the mail can be found', async () => {
  await chaos({ loseAnswer: 1 });
  await expect(transport().sendMail(mail('lost@example.com'))).rejects.toThrow();
  expect((await search('lost@example.com')).total).toBe(1);
  await transport().sendMail(mail('next@example.com'));
});

test('a refused mail is not there', async () => {
  await chaos({ refuse: 1 });
  await expect(transport().sendMail(mail('no@example.com'))).rejects.toMatchObject({ responseCode: 451 });
  expect(await json('/api/v1/count')).toEqual({ count: 0 });
});

test('a mail above the size limit is refused, announced or not', async () => {
  const large = { ...mail('large@example.com'), text: 'x'.repeat(10 << 20) };
  await expect(transport().sendMail(large)).rejects.toMatchObject({ responseCode: 552 });
  const answers = await dialogue([
    'EHLO x',
    'MAIL FROM:<a@b>',
    'RCPT TO:<c@d>',
    'DATA',
    `${'x\r\n'.repeat(4 << 20)}.`,
    'QUIT',
  ]);
  expect(answers).toContain('552');
  expect(await json('/api/v1/count')).toEqual({ count: 0 });
});

test.each([
  ['GET', '/api/v1/search?query=subject:tea', 400],
  ['GET', '/api/v1/messages?limit=-1', 400],
  ['GET', '/api/v1/message/none', 404],
  ['GET', '/api/v1/message/%E0%A4%A', 404],
  ['GET', '/mail', 404],
  ['POST', '/api/v1/messages', 404],
  ['PUT', '/api/v1/chaos', 200],
])('%s %s is answered with %i', async (method, path, status) => {
  expect((await call(path, { method })).status).toBe(status);
});

test('another site cannot delete mails through a browser', async () => {
  const headers = { Origin: 'http://evil.example' };
  expect((await call('/api/v1/messages', { method: 'DELETE', headers })).status).toBe(403);
});

/** Speaks SMTP line by line, waiting for each answer; gives the codes. */
function dialogue(lines: string[]): Promise<string[]> {
  const { hostname, port } = new URL(mailbox.url);
  const codes: string[] = [];
  const left = [...lines];
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    socket.on('data', (data) => {
      const code = /(?:^|\r\n)(\d{3}) /.exec(data.toString())?.[1];
      if (code === undefined) return;
      codes.push(code);
      const line = left.shift();
      if (line !== undefined) socket.write(`${line}\r\n`);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(codes));
  });
}
