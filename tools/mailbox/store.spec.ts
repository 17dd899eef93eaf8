import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { MailboxFull, MailStore } from './store.ts';

const mail = (id: string, body = 'hello') => Buffer.from(`Message-ID: <${id}>\r\nSubject: ${id}\r\n\r\n${body}`);
const add = (store: MailStore, id: string, body?: string) => store.add(mail(id, body), 'shop@x', ['anna@x']);

test('mails are found by id and by Message-ID, and are there again after a restart', async () => {
  const dir = temporaryDir();
  const store = new MailStore(dir);
  const ids = await Promise.all([add(store, 'a'), add(store, 'b'), add(store, 'a', 'a second time')]);
  const check = (opened: MailStore) => {
    expect(opened.count).toBe(3);
    expect(opened.list(0, 10).map(({ id }) => id)).toEqual(ids.toReversed());
    expect(opened.list(1, 1).map(({ subject }) => subject)).toEqual(['b']);
    expect(opened.withMessageId('<a>').map(({ id }) => id)).toEqual([ids[2], ids[0]]);
    expect(opened.withMessageId('A')).toEqual([]);
    const first = opened.get(ids[0] ?? '');
    expect(first).toMatchObject({ messageId: 'a', sender: 'shop@x', to: ['anna@x'] });
    expect(opened.raw(first ?? expect.fail()).equals(mail('a'))).toBe(true);
  };
  check(store);
  check(new MailStore(dir)); // the first one was not even closed
});

test('half a mail, left by a kill, is cut off, and the next one is stored behind the last whole one', async () => {
  const dir = temporaryDir();
  const id = await add(new MailStore(dir), 'whole');
  appendFileSync(join(dir, 'mails.eml'), mail('lost'));
  appendFileSync(join(dir, 'index.jsonl'), '{"at":"2026-');
  const store = new MailStore(dir);
  expect(store.count).toBe(1);
  await add(store, 'next');
  expect(new MailStore(dir).list(0, 9).map(({ messageId }) => messageId)).toEqual(['next', 'whole']);
  expect(store.get(id)?.messageId).toBe('whole');
});

test('an index line whose bytes are missing is not believed', async () => {
  const dir = temporaryDir();
  const store = new MailStore(dir);
  await add(store, 'a');
  await add(store, 'b');
  truncateSync(join(dir, 'mails.eml'), statSync(join(dir, 'mails.eml')).size - 1);
  expect(new MailStore(dir).list(0, 9).map(({ messageId }) => messageId)).toEqual(['a']);
});

test('after clearing, old ids mean nothing', async () => {
  const dir = temporaryDir();
  const store = new MailStore(dir);
  const old = await add(store, 'a');
  store.clear();
  expect([store.count, store.list(0, 9), store.withMessageId('a')]).toEqual([0, [], []]);
  const young = await add(store, 'b');
  expect(store.get(old)).toBeUndefined();
  expect(new MailStore(dir).get(young)?.messageId).toBe('b');
  expect(readFileSync(join(dir, 'mails.eml'), 'utf8')).not.toContain('<a>');
});

test('a full mailbox takes no more', async () => {
  const store = new MailStore(temporaryDir(), 2);
  const results = await Promise.allSettled(['a', 'b', 'c'].map((id) => add(store, id)));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await expect(add(store, 'd')).rejects.toThrow(MailboxFull);
});

test('thousands of mails with ids that share buckets are all found', async () => {
  const store = new MailStore(temporaryDir());
  const names = Array.from({ length: 5000 }, (_, i) => `m${i % 4000}@x`);
  await Promise.all(names.map((name) => add(store, name)));
  expect(store.withMessageId('m17@x')).toHaveLength(2);
  expect(store.withMessageId('m3999@x')).toHaveLength(1);
  expect(store.withMessageId('m4000@x')).toHaveLength(0);
  for (const id of ['x-1', '-1', '', 'latest', '__proto__']) expect(store.get(id)).toBeUndefined();
});
