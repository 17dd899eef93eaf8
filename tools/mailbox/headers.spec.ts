import { expect, test } from 'vitest';
import { bareId, readHeaders } from './headers.ts';

const read = (text: string) => readHeaders(Buffer.from(text));

test('reads three headers, in any case, folded or not', () => {
  const mail =
    'MESSAGE-ID: <a@b>\r\nSubject: one\r\n\ttwo\r\n three\r\nX-Other: <no@no>\r\nfrom: Shop <s@x>\r\n\r\nSubject: body';
  expect(read(mail)).toEqual({ messageId: 'a@b', subject: 'one two three', from: 'Shop <s@x>' });
});

test('a long Message-ID on a line of its own', () => {
  expect(read('Message-ID:\r\n <long@id>\r\n\r\n').messageId).toBe('long@id');
});

test.each([
  ['no headers', '\r\nMessage-ID: <a@b>\r\n', { messageId: '', subject: '', from: '' }],
  ['only headers', 'Subject: s', { messageId: '', subject: 's', from: '' }],
  ['bare line feeds', 'Subject: s\nFrom: f\n\nMessage-ID: <a@b>', { messageId: '', subject: 's', from: 'f' }],
  ['the first of two', 'Subject: first\r\nSubject: second\r\n\r\n', { messageId: '', subject: 'first', from: '' }],
  ['rubbish', ': x\r\n  y\r\n\0\r\nSubject : s\r\n\r\n', { messageId: '', subject: 's', from: '' }],
  ['nothing', '', { messageId: '', subject: '', from: '' }],
])('%s', (_, mail, headers) => {
  expect(read(mail)).toEqual(headers);
});

test('a Message-ID is the same with and without its brackets', () => {
  expect(bareId(' <a@b> ')).toBe('a@b');
  expect(bareId('a@b')).toBe('a@b');
});
