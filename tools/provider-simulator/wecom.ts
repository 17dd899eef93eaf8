import type { Answer, Call, Desk, Wire } from './wire.ts';

/** WeCom: tasks to write to external contacts (add_msg_template), and the token they need. Tokens are good for `tokenUses` calls. */
export class WecomWire implements Wire {
  readonly provider = 'wecom';
  private readonly corp: { readonly id: string; readonly secret: string };
  private token = '';
  private uses = 0;
  private ids = 0;

  constructor(corp: { id: string; secret: string }) {
    this.corp = corp;
  }

  takes({ url }: Call): boolean {
    return url.pathname === '/cgi-bin/gettoken' || url.pathname.startsWith('/cgi-bin/externalcontact/');
  }

  answer({ url, body }: Call, desk: Desk): Answer | undefined {
    if (desk.fate === 'cut') return undefined;
    if (desk.fate === 'fail') return { status: 500, body: {} };
    const { tokenUses } = desk.behaviour.current;
    const usedUp = tokenUses > 0 && this.uses >= tokenUses;
    if (url.pathname === '/cgi-bin/gettoken') return this.grant(url, usedUp);
    if (this.token === '' || url.searchParams.get('access_token') !== this.token) return errcode(40014);
    if (usedUp) return errcode(42001);
    this.uses++;
    if (desk.fate === 'throttle') return errcode(45009);
    const {
      external_userid: [to = ''] = [],
      text,
      attachments,
    } = JSON.parse(body) as {
      external_userid?: string[];
      text: unknown;
      attachments?: unknown;
    };
    if (!/^w[mo][\w-]{10,}$/.test(to)) return errcode(40096);
    const msgid = `msg-${++this.ids}`;
    if (desk.fate === 'refuse') return { status: 200, body: { errcode: 0, errmsg: 'ok', fail_list: [to], msgid } };
    desk.accept({ provider: this.provider, to, reference: '', providerId: msgid, content: { text, attachments } });
    if (desk.fate === 'lose') return undefined;
    return { status: 200, body: { errcode: 0, errmsg: 'ok', fail_list: [], msgid } };
  }

  private grant({ searchParams: query }: URL, usedUp: boolean): Answer {
    if (query.get('corpid') !== this.corp.id) return errcode(40013);
    if (query.get('corpsecret') !== this.corp.secret) return errcode(40001);
    if (this.token === '' || usedUp) {
      this.token = `token-${++this.ids}`;
      this.uses = 0;
    }
    return { status: 200, what: 'token', body: { errcode: 0, access_token: this.token, expires_in: 7200 } };
  }
}

function errcode(code: number): Answer {
  return { status: 200, what: String(code), body: { errcode: code, errmsg: 'simulated' } };
}
