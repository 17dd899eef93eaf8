import MailComposer from 'nodemailer/lib/mail-composer/index.js';
import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { headerProblem, isEmailAddress } from '../../core/header.ts';

/** What has opened headers, lists and commands in one mailer or another, between what belongs into addresses. */
const PIECES = [
  ...['\r\n', '\n', '\r', '\0', '\t', ' ', '\u0085', '\u2028', '\u2029', '\u00a0', '\u3000', '\ufeff'],
  ...['Bcc: x@y.zz', 'RCPT TO:<x@y.zz>', '=?utf-8?Q?=0D=0ABcc:_x@y.zz?=', '%0d%0a'],
  ...[',', ';', ':', '<', '>', '"', '(', ')', '[', ']', '\\', '@', '.', '，', '＠'],
  ...['a', 'ana', 'b.co', 'a@b.co', '用户', '例子.公司', 'a+b', "o'neil", '{', '|', '='],
];
const hostile = fc
  .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...PIECES) }, fc.string({ unit: 'binary', maxLength: 4 })), {
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''));
// Most concatenations are no addresses: half of these begin as one.
const addresses = fc.oneof(
  hostile,
  fc.tuple(hostile, hostile).map(([a, b]) => `a${a}@${b}b.co`),
  fc
    .tuple(fc.constantFrom('a', '用户', "o'neil", 'a|b', 'a{b}'), fc.constantFrom('b.co', '例子.公司'))
    .map((p) => p.join('@')),
);

// The mailer folds line breaks of subjects away by itself: for subjects this is about both guards together.
it('whatever address and subject are let through, the mail has one recipient and no other headers', async () => {
  let built = 0;
  await fc.assert(
    fc.asyncProperty(addresses, hostile, async (to, subject) => {
      if (!isEmailAddress(to) || headerProblem(subject, 250) !== undefined) return;
      built++;
      const from = { name: 'Shop', address: 'shop@e.co' };
      const mail = new MailComposer({
        from,
        to: { name: '', address: to },
        subject: `Hi ${subject}`,
        text: 'x',
      }).compile();
      expect(mail.getEnvelope().to).toHaveLength(1);
      const head = (await mail.build()).toString('utf8').split('\r\n\r\n', 1)[0] ?? '';
      // A line that begins with white space goes on with the header before it.
      const names = head.split(/\r\n|\r|\n/).filter((line) => !/^[ \t]/.test(line));
      expect(names.map((line) => line.split(':', 1)[0]).sort()).toEqual([
        ...['Content-Transfer-Encoding', 'Content-Type', 'Date', 'From', 'MIME-Version', 'Message-ID', 'Subject', 'To'],
      ]);
    }),
    { numRuns: 2000 },
  );
  // Else it would be true of nothing.
  expect(built).toBeGreaterThan(200);
}, 60_000);
