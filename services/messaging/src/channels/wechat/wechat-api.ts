import type { AccessKey } from '../../core/credentials.ts';
import type { CallResult } from '../channel.ts';
import { type Answer, ErrcodeApi, NoTokenError, type RawCall, type Reply } from '../errcode/errcode-api.ts';

export interface WechatOptions {
  /** AppID and AppSecret. */
  readonly app: AccessKey;
  readonly connections: number;
  /** http(s)://host[:port]; the provider's own when left out. */
  readonly endpoint?: string | undefined;
  readonly callMs?: number | undefined;
}

/** A token may be forced anew no more often: the provider counts, 20 times a day. */
const FORCE_EVERY_MS = 30_000;

/**
 * The API of one official account or mini-program. Tokens come from `stable_token`: asking again gives the same one, so
 * several processes do not take each other's token away. Only one refused before its time is forced anew.
 */
export function openWechat({
  app,
  endpoint = 'https://api.weixin.qq.com',
  connections,
  callMs,
}: WechatOptions): ErrcodeApi {
  let forcedMs = Number.NEGATIVE_INFINITY;
  const ask = async (call: RawCall, force: boolean) => {
    const about = { grant_type: 'client_credential', appid: app.id, secret: app.secret, force_refresh: force };
    const answer = await call('POST', '/cgi-bin/stable_token', about).catch((error: { code?: string }) => {
      throw new NoTokenError(`no token: ${error.code ?? 'no answer'}`);
    });
    const { access_token: token, expires_in: expiresInS } = answer;
    if (typeof token !== 'string' || typeof expiresInS !== 'number')
      throw new NoTokenError(`no token: ${answer.errcode}`);
    return { token, expiresInS };
  };
  return new ErrcodeApi({
    ...{ provider: 'wechat', endpoint, connections, callMs },
    grant: async (call, refused) => {
      const grant = await ask(call, false);
      if (grant.token !== refused || performance.now() - forcedMs < FORCE_EVERY_MS) return grant;
      forcedMs = performance.now();
      return ask(call, true);
    },
  });
}

/** Why a message was refused, where the code says something about the customer or the text rather than the settings. */
const REFUSED: Readonly<Record<number, string>> = {
  40003: 'no such OpenID in this app',
  40037: 'no such template',
  41030: 'no such page',
  43004: 'the customer does not follow the account',
  43101: 'the customer refused such messages',
  43107: 'such messages are barred for this app',
  45168: 'a word that is not allowed',
  47003: 'a value the template does not take',
};
/** Nothing was sent: too many calls, or settings a person can mend. */
const LATER = new Set([...[45009, 45011, 43108], ...[40001, 40013, 40014, 40125, 40164, 40243, 42001, 42007, 48001]]);

/** What an answer means for the message. -1 is "busy": whether it was sent nobody says. */
export function judge(reply: Reply): CallResult {
  if ('failed' in reply) return reply.failed;
  const { errcode, msgid } = reply.answer as Answer & { msgid?: unknown };
  if (errcode === 0) return { kind: 'accepted', providerId: msgid === undefined ? '' : String(msgid).slice(0, 64) };
  const known = REFUSED[errcode];
  const reason = `wechat ${errcode}${known ? `: ${known}` : ''}`;
  if (errcode < 0) return { kind: 'lost', reason };
  return LATER.has(errcode) ? { kind: 'later', reason, reached: true } : { kind: 'refused', reason };
}
