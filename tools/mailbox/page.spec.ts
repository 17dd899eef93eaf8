import { expect, test } from 'vitest';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { letterOf } from './letter.ts';
import { listPage, mailPage } from './page.ts';
import { MailStore } from './store.ts';

test('nothing in a mail gets out of its place', async () => {
  const evil = `"><script>alert(1)</script>`;
  const store = new MailStore(temporaryDir());
  const raw = `From: ${evil} <a@b>\r\nSubject: ${evil}\r\nX-Evil: ${evil}\r\nContent-Type: text/html\r\n\r\n${evil}'</iframe>`;
  await store.add(Buffer.from(raw), 'a@b', [evil]);
  const [mail = expect.fail()] = store.list(0, 1);
  const letter = await letterOf(mail, store);
  expect(letter.Subject).toBe(evil);
  for (const page of [mailPage(letter), listPage([letter], 1, 0, 50)]) {
    expect(page).not.toContain('<script');
    expect(page).toContain('&#60;script&#62;');
  }
  expect(mailPage(letter)).toContain('<iframe sandbox="" title="The mail" srcdoc="&#34;&#62;&#60;script');
});

test('what cannot be parsed is shown as it came', async () => {
  const store = new MailStore(temporaryDir());
  const deep = Array.from(
    { length: 60 },
    (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`,
  ).join('');
  await store.add(Buffer.from(deep), 'a@b', ['c@d']);
  const letter = await letterOf(store.list(0, 1)[0] ?? expect.fail(), store);
  expect(letter.Error).toBeTruthy();
  expect(letter.Text).toBe(deep);
});
