import { describe, expect, it } from 'vitest';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import fc from '#tools/testkit/fast-check.ts';
import { Links } from './mark-up.ts';
import { aliyunReceipts, BadReceiptError, ownReceipts, tencentReceipts } from './provider-receipts.ts';
import { eventOf } from './receipt.ts';
import { Tokens, type TokenUse } from './tokens.ts';

const tokens = new Tokens(new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 1) }])));
const others = new Tokens(new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 2) }])));
const about = { customerId: 'c1', key: 'k1', channel: 'email' };
const USES: TokenUse[] = ['receipt', 'open', 'click', 'unsubscribe'];
const NOW = Date.parse('2026-05-05T12:00:00Z');

describe('tokens', () => {
  it('come back as they went, for their own use only', () => {
    for (const made of USES) {
      const token = tokens.make(made, about);
      expect(token).toMatch(/^[\w-]+$/);
      // Sealed, not only written otherwise: what it is about cannot be read out of it.
      const raw = Buffer.from(token, 'base64url').toString('latin1');
      for (const readable of [about.customerId, about.key].map((id) => JSON.stringify(id)))
        expect(raw).not.toContain(readable);
      expect(raw).not.toContain(about.channel);
      for (const read of USES) expect(tokens.read(read, token)).toEqual(read === made ? about : undefined);
    }
    expect(tokens.read('click', tokens.make('click', about, 'https://x.example/'))?.target).toBe('https://x.example/');
  });

  it('made by somebody else, or changed anywhere, are none', () => {
    expect(tokens.read('open', others.make('open', about))).toBeUndefined();
    const token = tokens.make('open', about);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'AbZ09-_%/.'), (at, char) => {
        const changed = token.slice(0, at) + char + token.slice(at + 1);
        // The last character holds bits that mean nothing.
        if (!Buffer.from(changed, 'base64url').equals(Buffer.from(token, 'base64url')))
          expect(tokens.read('open', changed)).toBeUndefined();
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => tokens.read('open', text) === undefined));
  });
});

describe('links of a page', () => {
  const links = new Links('https://m.shop.example/', tokens);
  const track = (html: string) => links.track(html, about);

  it('lead here first, and know where to', () => {
    const html = track(
      `<p><a class="b" href="https://shop.example/p?id=1&amp;c=2">x</a> <a href='http://o.example/'>y</a></p>`,
    );
    const targets = [...html.matchAll(/\/m\/c\/([\w-]+)"/g)].map((m) => tokens.read('click', m[1] ?? '')?.target);
    expect(targets).toEqual(['https://shop.example/p?id=1&c=2', 'http://o.example/']);
    expect(html).toMatch(/<\/p><img src="https:\/\/m\.shop\.example\/m\/o\/[\w-]+" width="1" height="1"/);
  });

  it('that are no web pages, or ours already, stay', () => {
    const own = links.unsubscribe(about);
    const page = `<body><a href="mailto:a@b.co">m</a><a href="#top">t</a><a href="${own}">u</a><img src="https://i.example/"></body>`;
    const html = track(page);
    expect(html).toContain(page.slice(0, -'</body>'.length));
    expect(html.endsWith('style="display:none"></body>')).toBe(true);
  });

  it('end in time whatever the page is', () => {
    const begun = process.threadCpuUsage();
    for (const piece of ['<a href="https://x', '<a <a <a ', `<a ${' '.repeat(1000)}`, '<a href=">"\'', '<a href='])
      track(piece.repeat((256 * 1024) / piece.length));
    const { user } = process.threadCpuUsage(begun);
    expect(user).toBeLessThan(2_000_000);
  });
});

describe('receipts', () => {
  const reference = tokens.make('receipt', { ...about, channel: 'sms' });
  const report = (more: object) => ({
    ...{
      phone_number: '13900000001',
      report_time: '2026-05-05 19:59:00',
      success: true,
      err_code: 'DELIVERED',
      out_id: reference,
    },
    ...more,
  });

  it('of Aliyun: delivered, no such number, not now; what is not ours is left out', () => {
    const bodies = [
      report({}),
      report({ success: false, err_code: 'MK:0001' }),
      report({ success: false, err_code: 'MK:0005' }),
      report({ out_id: others.make('receipt', about) }),
    ];
    const { receipts, foreign } = aliyunReceipts(bodies, tokens, NOW);
    expect(foreign).toBe(1);
    expect(receipts).toMatchObject([
      { kind: 'delivered', key: 'k1', customerId: 'c1', channel: 'sms', timeMs: NOW - 60_000 },
      { kind: 'bounced', bounceType: 'hard', reason: 'MK:0001' },
      { kind: 'bounced', bounceType: 'soft', reason: 'MK:0005' },
    ]);
  });

  it('of Tencent: the same, and of accounts that give no context back, nothing', () => {
    const status = {
      user_receive_time: '2026-05-05 20:00:00',
      nationcode: '86',
      mobile: '139',
      sid: 's1',
      ext: reference,
    };
    const bodies = [
      { ...status, report_status: 'SUCCESS', errmsg: 'DELIVRD' },
      { ...status, report_status: 'FAIL', errmsg: 'MK:0001' },
      { ...status, report_status: 'FAIL', errmsg: 'MK:0005' },
      { ...status, report_status: 'SUCCESS', errmsg: 'DELIVRD', ext: undefined },
    ];
    const { receipts, foreign } = tencentReceipts(bodies, tokens, Date.parse('2026-05-06T00:00Z'));
    expect(foreign).toBe(1);
    expect(receipts).toMatchObject([
      { kind: 'delivered', key: 'k1', channel: 'sms', timeMs: Date.parse('2026-05-05T12:00Z') },
      { kind: 'bounced', bounceType: 'hard', reason: 'MK:0001' },
      { kind: 'bounced', bounceType: 'soft', reason: 'MK:0005' },
    ]);
    expect(() => tencentReceipts([{ ...bodies[0], errmsg: 7, report_status: 'FAIL' }], tokens, 0)).toThrow(
      'the body[0].errmsg must be a text',
    );
  });

  it('of a gateway: each field checked, and named when it is wrong', () => {
    const one = (more: object) => ({ receipts: [{ reference, type: 'delivered', ...more }] });
    expect(ownReceipts(one({ time: '2030-01-01T00:00:00Z' }), tokens, NOW).receipts[0]?.timeMs).toBe(NOW);
    const wrong = (body: unknown) => {
      try {
        ownReceipts(body, tokens, NOW);
        return '';
      } catch (error) {
        expect(error).toBeInstanceOf(BadReceiptError);
        return (error as Error).message;
      }
    };
    expect(wrong(one({ type: 'read' }))).toMatch(/^receipts\[0\]\.type must be one of delivered/);
    expect(wrong(one({ reference: 7 }))).toBe('receipts[0].reference must be a text');
    expect(wrong(one({ bounce_type: 'x' }))).toBe('receipts[0].bounce_type must be hard or soft');
    expect(wrong(one({ time: 'soon' }))).toMatch(/^receipts\[0\]\.time must be/);
    expect(wrong({ receipts: Array(1001).fill({}) })).toBe('receipts must have at most 1000 items, has 1001');
    expect(wrong([])).toBe('receipts must be a list');
    expect(wrong({ receipts: [null] })).toBe('receipts[0] must be an object');
  });

  it('become events of the customer, the same for the same receipt, without what may be personal', () => {
    const click = { ...about, kind: 'clicked' as const, timeMs: NOW, url: 'https://shop.example/p?mail=a@b.co#x' };
    const event = eventOf(click, NOW);
    expect(event).toMatchObject({ name: 'Email Link Clicked', timeMs: NOW, identifiers: [{ type: '$customer' }] });
    expect(JSON.parse(event.propertiesJson.toString())).toEqual({
      ...{ channel: 'email', idempotency_key: 'k1', url: 'https://shop.example/p' },
    });
    expect(eventOf(click, NOW + 5).messageId).toBe(event.messageId);
    expect(eventOf({ ...click, url: 'https://shop.example/q' }, NOW).messageId).not.toBe(event.messageId);
    expect(eventOf({ ...about, channel: 'sms', kind: 'bounced', timeMs: NOW }, NOW).name).toBe('Message Bounced');
  });
});
