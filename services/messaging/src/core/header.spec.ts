import { describe, expect, it } from 'vitest';
import { isEmailAddress, parseSender } from './header.ts';

describe('isEmailAddress', () => {
  it.each(['a@b.co', 'first.last+tag@sub.example.com', 'a@localhost', '用户@例子.公司'])('takes %s', (address) => {
    expect(isEmailAddress(address)).toBe(true);
  });
  it.each([
    '',
    'a',
    '@b.co',
    'a@',
    'a b@c.de',
    'a@b.co,c@d.ef',
    'a@b.co\r\nBcc: x@y.zz',
    'a@b.co\n',
    '<a@b.co>',
    '"a"@b.co',
    'a..b@c.de',
    '.a@b.co',
    'a@-b.co',
    'a@b..co',
    `${'a'.repeat(65)}@b.co`,
    `a@${'b'.repeat(250)}.co`,
    'a@b.co\u2028x',
    'a@b.co>',
  ])('refuses %j', (address) => expect(isEmailAddress(address)).toBe(false));

  it('answers at once for whatever length', () => {
    const begun = performance.now();
    for (const text of ['a'.repeat(250), `a@${'a-'.repeat(120)}`, `a@${'a.'.repeat(120)}!`]) isEmailAddress(text);
    expect(performance.now() - begun).toBeLessThan(50);
  });
});

describe('parseSender', () => {
  it.each([
    ['shop@example.com', '', 'shop@example.com'],
    ['The Shop <shop@example.com>', 'The Shop', 'shop@example.com'],
    ['"The, Shop" <shop@example.com>', 'The, Shop', 'shop@example.com'],
  ])('%s', (from, name, address) => expect(parseSender(from)).toEqual({ name, address }));
  it.each(['', 'shop', 'a@b.co, c@d.ef', 'X\r\nBcc: y <a@b.co>'])('refuses %j', (from) =>
    expect(() => parseSender(from)).toThrow('MAIL_FROM'),
  );
});
