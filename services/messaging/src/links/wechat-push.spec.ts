import { describe, expect, it } from 'vitest';
import { encrypt, pushEncrypted, pushPlain, signatureOf, signed } from '#tools/provider-simulator/wechat-push.ts';
import fc from '#tools/testkit/fast-check.ts';
import { parseAppKey } from '../core/credentials.ts';
import { parseExactly } from '../core/exact-json.ts';
import { BadReceiptError } from './provider-receipts.ts';
import { readBody } from './push-body.ts';
import { UnsignedError, WechatPush } from './wechat-push.ts';
import { wechatTold } from './wechat-receipts.ts';

const AES_KEY = 'jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C';
const keys = { appId: 'wx1', token: 'aToken1', aesKey: AES_KEY };
const appOf = (more: object) => {
  const { id, push } = parseAppKey(JSON.stringify({ app_id: 'wx1', app_secret: 's', ...more }));
  if (!push) throw new Error('no push');
  return new WechatPush(id, push);
};
const plain = appOf({ token: keys.token });
const safe = appOf({ token: keys.token, encoding_aes_key: AES_KEY });
const NOW = Date.now();
const finish = {
  ToUserName: 'gh_7f083739789a',
  FromUserName: 'oia2TjuEGTNoeX76QEjQNrcURxG8',
  CreateTime: String(Math.floor(NOW / 1000) - 2),
  ...{ MsgType: 'event', Event: 'TEMPLATESENDJOBFINISH', MsgID: '3487542469355618313', Status: 'success' },
};

/** What is thrown, as its class and its text. */
function thrown(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return `${(error as Error).constructor.name} ${(error as Error).message}`;
  }
  return 'nothing';
}

describe('what is pushed', () => {
  it('is greeted and taken when it is signed by the token, now', () => {
    const query = signed(keys.token, 'signature');
    expect(plain.greeting({ ...query, echostr: '5837493' }, NOW)).toBe('5837493');
    const { query: q, body } = pushPlain(keys.token, finish);
    expect(plain.open(q, body, NOW)).toEqual(finish);
    const cases = [
      {},
      signed('anotherToken', 'signature'),
      { ...q, nonce: '1' },
      { ...q, signature: 'x' },
      { ...q, signature: ['a'] },
    ];
    for (const wrong of cases) {
      expect(() => plain.open(wrong, body, NOW)).toThrow(UnsignedError);
      expect(() => plain.greeting(wrong, NOW)).toThrow(UnsignedError);
    }
    for (const atMs of [NOW - 700_000, NOW + 700_000, Number.NaN])
      expect(thrown(() => plain.open(signed(keys.token, 'signature', atMs), body, NOW))).toMatch(
        /^UnsignedError timestamp/,
      );
  });

  it('in safe mode is signed as a whole and encrypted for this app; plain messages are refused there', () => {
    const { query, body } = pushEncrypted(keys, finish);
    expect(safe.open(query, body, NOW)).toEqual(finish);
    const other = pushEncrypted(keys, { ...finish, Status: 'failed:user block' });
    expect(() => safe.open(query, other.body, NOW)).toThrow(UnsignedError);
    expect(() => safe.open({ ...query, msg_signature: query.signature }, body, NOW)).toThrow(UnsignedError);
    const bare = pushPlain(keys.token, finish);
    expect(thrown(() => safe.open(bare.query, bare.body, NOW))).toMatch(/^BadReceiptError Encrypt must be a text/);
  });

  it('and what is signed but is not encrypted for this app is an error that says so', () => {
    const foreign = encrypt({ ...keys, appId: 'wx2' }, '<xml></xml>');
    const otherKey = encrypt({ ...keys, aesKey: AES_KEY.replace('j', 'k') }, '<xml></xml>');
    const sealed = [
      '',
      'AAAA',
      Buffer.alloc(16).toString('base64'),
      Buffer.alloc(64).toString('base64'),
      foreign,
      otherKey,
    ];
    for (const text of sealed) {
      const { timestamp, nonce } = signed(keys.token, 'signature');
      const query = { timestamp, nonce, msg_signature: signatureOf(keys.token, timestamp, nonce, text) };
      const said = thrown(() => safe.open(query, JSON.stringify({ Encrypt: text }), NOW));
      expect(said).toMatch(/^BadReceiptError Encrypt must be encrypted/);
    }
  });

  it('comes back as it went, whatever it holds', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{0,8}$/);
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((t) => !t.includes(']]>') && t.trim() !== '');
    const content = fc.dictionary(name, fc.oneof(text, fc.dictionary(name, text, { minKeys: 1, maxKeys: 3 })), {
      minKeys: 1,
      maxKeys: 5,
    });
    fc.assert(
      fc.property(content, (more) => {
        const told = { ToUserName: 'gh', ...more };
        const { query, body } = pushEncrypted(keys, told as never);
        expect(safe.open(query, body, NOW)).toEqual(told);
      }),
    );
  });
});

describe('a body', () => {
  it('that is no message is refused in time, with where it is wrong', () => {
    const bad = [
      ...[
        '',
        'x',
        '<xml>',
        '<xml></xml',
        '<xml></y>',
        '</xml>',
        '<xml/>',
        '<xml>t</xml>',
        '<a></a><b></b>',
        '<xml a="1"></xml>',
      ],
      ...[
        '<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>',
        '<xml><a>&b;</a></xml>',
        '<?xml version="1.0"?><xml><a/></xml>',
      ],
      ...[
        '<xml><a><![CDATA[</a></xml>',
        '{',
        '{"a":',
        `<xml>${'<a>'.repeat(20)}`,
        `<xml>${'<a></a>'.repeat(600)}</xml>`,
      ],
      ...[`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, `{"a":${'{"a":'.repeat(20)}1${'}'.repeat(21)}`],
      ...['<'.repeat(60_000), '<a'.repeat(30_000), '<a>'.repeat(20_000), '<![CDATA['.repeat(7000)],
    ];
    const begun = process.threadCpuUsage();
    for (const body of bad)
      expect([body.slice(0, 40), thrown(() => readBody(body))]).toEqual([
        body.slice(0, 40),
        expect.stringMatching(/^BadReceiptError the body must/),
      ]);
    expect(process.threadCpuUsage(begun).user).toBeLessThan(2_000_000);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('<xml>', '</xml>', '<a>', '</a>', '<![CDATA[', ']]>', '&amp;', '{', '"', 'x')),
        (parts) => {
          const said = thrown(() => readBody(parts.join('')));
          expect(said).toMatch(/^(nothing|BadReceiptError )/);
        },
      ),
    );
  });

  it('names fields as it likes without harm, and keeps numbers no double holds', () => {
    const body = readBody(
      '<xml><__proto__><polluted>1</polluted></__proto__><List>1</List><List><a>2</a></List></xml>',
    );
    expect(Object.keys(body)).toEqual(['__proto__', 'List']);
    expect(body.List).toEqual(['1', { a: '2' }]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(parseExactly('{"errcode":0,"msgid":1700827132819554305,"x":1.5,"y":"1"}')).toEqual({
      ...{ errcode: 0, msgid: '1700827132819554305', x: 1.5, y: '1' },
    });
  });
});

describe('what became of messages', () => {
  const list = { TemplateId: 't', MsgID: '1700827132819554304', ErrorCode: '0', ErrorStatus: 'success' };
  const about = { openId: finish.FromUserName, timeMs: Number(finish.CreateTime) * 1000 };
  const { Status: _, MsgID: __, ...head } = { ...finish, Event: 'subscribe_msg_sent_event' };

  it('is told by templates and by subscription notices, as XML and as JSON, one and many', () => {
    expect(wechatTold('account', finish, NOW)).toEqual([
      { ...about, channel: 'wechat_template', providerId: finish.MsgID, kind: 'delivered' },
    ]);
    expect(wechatTold('account', { ...finish, Status: 'failed:user block' }, NOW)).toMatchObject([
      { kind: 'bounced', bounceType: 'soft', reason: 'wechat failed:user block' },
    ]);
    expect(wechatTold('account', { ...finish, Status: '用户拒收' }, NOW)).toMatchObject([{ reason: 'wechat failed' }]);
    const failed = { ...list, MsgID: '5', ErrorCode: '43101' };
    expect(wechatTold('account', { ...head, SubscribeMsgSentEvent: { List: [list, failed] } }, NOW)).toEqual([
      { ...about, channel: 'wechat_subscribe', providerId: list.MsgID, kind: 'delivered' },
      {
        ...about,
        channel: 'wechat_subscribe',
        providerId: '5',
        kind: 'bounced',
        bounceType: 'soft',
        reason: 'wechat 43101',
      },
    ]);
    expect(wechatTold('mini', { ...head, List: list }, NOW)).toMatchObject([
      { channel: 'wechat_mini', kind: 'delivered' },
    ]);
    const future = { ...finish, CreateTime: String(Math.floor(NOW / 1000) + 60) };
    expect(wechatTold('account', future, NOW)[0]?.timeMs).toBe(NOW);
  });

  it('is nothing in all else, and an error that names the field where it is not whole', () => {
    for (const Event of ['subscribe', 'CLICK', 'subscribe_msg_popup_event'])
      expect(wechatTold('account', { ...finish, Event }, NOW)).toEqual([]);
    expect(wechatTold('account', { MsgType: 'text', Content: 'hello' }, NOW)).toEqual([]);
    for (const name of ['MsgID', 'FromUserName', 'Status', 'CreateTime']) {
      const body = { ...finish, [name]: '' };
      expect(() => wechatTold('account', body, NOW)).toThrow(
        new BadReceiptError(`${name} must be a text of 1–128 characters`),
      );
    }
  });
});

it('the file of an app: keys of its server are checked, and never quoted', () => {
  const app = (more: object) => () => parseAppKey(JSON.stringify({ app_id: 'wx1', app_secret: 'secret-1', ...more }));
  expect(app({})().push).toBeUndefined();
  expect(app({ token: 'abc' })().push).toEqual({ token: 'abc' });
  expect(app({ token: 'abc', encoding_aes_key: AES_KEY })().push?.aesKey?.length).toBe(32);
  expect(app({ token: 'a b' })).toThrow(/^token must be/);
  expect(app({ encoding_aes_key: AES_KEY })).toThrow(/^token must be/);
  expect(app({ token: 'abc', encoding_aes_key: 'short' })).toThrow(/^encoding_aes_key must be 43 letters and digits$/);
});
