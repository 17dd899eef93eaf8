import { type PushKeys, pushEncrypted, pushPlain } from './wechat-push.ts';
import type { Accepted, Answer, Call, Desk, Push, Wire } from './wire.ts';

export interface AppKeys {
  /** Of the official account. */
  readonly account: string;
  readonly mini: string;
  /** Of both. */
  readonly secret: string;
  /** Of both their servers. */
  readonly token: string;
  /** Of the official account's server. */
  readonly aesKey: string;
}

interface Token {
  readonly text: string;
  uses: number;
}

const ACCOUNT_PATHS = ['/cgi-bin/message/template/send', '/cgi-bin/message/subscribe/bizsend'];
const MINI_PATH = '/cgi-bin/message/subscribe/send';

/**
 * WeChat: template messages and subscription notices of an official account, those of a mini-program, and the tokens both need
 * (stable_token). Tokens are good for `tokenUses` calls. What became of a message is pushed as an account's server gets it: the
 * official account's as XML, encrypted, the mini-program's as JSON, plain.
 */
export class WechatWire implements Wire {
  readonly provider = 'wechat';
  private readonly keys: AppKeys;
  private readonly tokens = new Map<string, Token>();
  private tokensMade = 0;
  /** Longer than what a double holds, as the real ones. */
  private ids = 1_700_827_132_819_554_304n;

  constructor(keys: AppKeys) {
    this.keys = keys;
  }

  takes({ url }: Call): boolean {
    return ['/cgi-bin/stable_token', MINI_PATH, ...ACCOUNT_PATHS].includes(url.pathname);
  }

  answer(call: Call, desk: Desk): Answer | undefined {
    const body = JSON.parse(call.body) as Record<string, unknown>;
    if (desk.fate === 'cut') return undefined;
    if (desk.fate === 'fail') return { status: 500, body: {} };
    if (call.url.pathname === '/cgi-bin/stable_token') return this.grant(body, desk);
    const app = call.url.pathname === MINI_PATH ? this.keys.mini : this.keys.account;
    const token = this.tokens.get(app);
    if (!token || token.text !== call.url.searchParams.get('access_token')) return errcode(40001);
    if (isUsedUp(token, desk)) return errcode(42001);
    token.uses++;
    if (desk.fate === 'throttle') return errcode(45009);
    if (desk.fate === 'refuse') return errcode(43101);
    return this.send(call.url.pathname, body, desk);
  }

  private send(path: string, body: Record<string, unknown>, desk: Desk): Answer | undefined {
    const { touser, template_id: template, client_msg_id: reference = '', data, url, page } = body;
    if (typeof touser !== 'string' || !/^o[\w-]{15,63}$/.test(touser)) return errcode(40003);
    if (typeof template !== 'string' || template.length < 3) return errcode(40037);
    const values = data as Record<string, { value: string }>;
    if (Object.entries(values).some(([name, { value }]) => /^thing\d/.test(name) && value.length > 20))
      return errcode(47003);
    const known = desk.accepted.find(
      (m) => m.provider === this.provider && reference !== '' && m.reference === reference && m.to === touser,
    );
    const msgid = known ? known.providerId : String(++this.ids);
    const content = { path, template, data, ...(url !== undefined && { url }), ...(page !== undefined && { page }) };
    const about = { provider: this.provider, to: touser, reference: String(reference), providerId: msgid };
    if (!known) desk.accept({ ...about, content });
    return desk.fate === 'lose'
      ? undefined
      : { status: 200, body: { errcode: 0, errmsg: 'ok', msgid: rawNumber(msgid) } };
  }

  push(message: Accepted, bounced: boolean): Push {
    const { account, token, aesKey } = this.keys;
    const { path, template } = message.content as { path: string; template: string };
    const head = { ToUserName: 'gh_7f083739789a', FromUserName: message.to, CreateTime: seconds(), MsgType: 'event' };
    const keys: PushKeys = { appId: account, token, aesKey };
    if (path === ACCOUNT_PATHS[0]) {
      const Status = bounced ? 'failed:user block' : 'success';
      return pushEncrypted(keys, { ...head, Event: 'TEMPLATESENDJOBFINISH', MsgID: message.providerId, Status });
    }
    const fate = bounced
      ? { ErrorCode: '43101', ErrorStatus: 'user refuse' }
      : { ErrorCode: '0', ErrorStatus: 'success' };
    const List = { TemplateId: template, MsgID: message.providerId, ...fate };
    const about = { ...head, Event: 'subscribe_msg_sent_event' };
    if (path === MINI_PATH) return pushPlain(token, { ...about, List });
    return pushEncrypted(keys, { ...about, SubscribeMsgSentEvent: { List } });
  }

  private grant({ appid, secret, force_refresh: force }: Record<string, unknown>, desk: Desk): Answer {
    const { account, mini } = this.keys;
    if (appid !== account && appid !== mini) return errcode(40013);
    if (secret !== this.keys.secret) return errcode(40125);
    let token = this.tokens.get(appid as string);
    if (!token || force === true || isUsedUp(token, desk)) {
      token = { text: `token-${++this.tokensMade}`, uses: 0 };
      this.tokens.set(appid as string, token);
    }
    return { status: 200, what: 'token', body: { access_token: token.text, expires_in: 7200 } };
  }
}

function isUsedUp({ uses }: Token, { behaviour }: Desk): boolean {
  const { tokenUses } = behaviour.current;
  return tokenUses > 0 && uses >= tokenUses;
}

function errcode(code: number): Answer {
  return { status: 200, what: String(code), body: { errcode: code, errmsg: 'simulated' } };
}

const seconds = (): string => String(Math.floor(Date.now() / 1000));

/** Into JSON as it is. TypeScript does not know of it yet. */
function rawNumber(digits: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits);
}
