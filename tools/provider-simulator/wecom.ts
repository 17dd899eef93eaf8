import { randomBytes } from 'node:crypto';
import type { Accepted, Answer, Call, Desk, Wire } from './wire.ts';

/** When a member of staff confirms a task, and whether it arrives then. */
interface Fate {
  readonly atMs: number;
  readonly status: 1 | 2;
}

const PATH = '/cgi-bin/externalcontact/';

/**
 * WeCom: tasks to write to external contacts (add_msg_template), what became of them (get_groupmsg_list_v2, …_task,
 * …_send_result), and the token all of it needs. Tokens are good for `tokenUses` calls. A member of staff confirms a task after
 * `receiptMs`, or never (`noReceipt`).
 */
export class WecomWire implements Wire {
  readonly provider = 'wecom';
  private readonly corp: { readonly id: string; readonly secret: string };
  private token = '';
  private uses = 0;
  private ids = 0;
  private readonly series = randomBytes(4).toString('hex');
  private readonly fates = new Map<string, Fate>();

  constructor(corp: { id: string; secret: string }) {
    this.corp = corp;
  }

  takes({ url }: Call): boolean {
    return url.pathname === '/cgi-bin/gettoken' || url.pathname.startsWith(PATH);
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
    const asked = JSON.parse(body) as Record<string, unknown>;
    switch (url.pathname.slice(PATH.length)) {
      case 'add_msg_template':
        return this.add(asked, desk);
      case 'get_groupmsg_list_v2':
        return page(asked, 'group_msg_list', tasksBetween(asked, desk));
      case 'get_groupmsg_task':
        return page(asked, 'task_list', this.senders(asked, desk));
      case 'get_groupmsg_send_result':
        return page(asked, 'send_list', this.sends(asked, desk));
      default:
        return errcode(40066);
    }
  }

  private add(asked: Record<string, unknown>, desk: Desk): Answer | undefined {
    const {
      external_userid: [to = ''] = [],
      text,
      attachments,
      sender = 'chosen',
    } = asked as { external_userid?: string[] } & typeof asked;
    if (!/^w[mo][\w-]{10,}$/.test(to)) return errcode(40096);
    const msgid = `msg-${this.series}-${++this.ids}`;
    if (desk.fate === 'refuse') return { status: 200, body: { errcode: 0, errmsg: 'ok', fail_list: [to], msgid } };
    desk.accept({
      provider: this.provider,
      to,
      reference: '',
      providerId: msgid,
      content: { text, attachments, sender },
    });
    const { receiptMs, noReceipt, bounce } = desk.behaviour.current;
    const status = desk.behaviour.chance(bounce) ? 2 : 1;
    if (!desk.behaviour.chance(noReceipt))
      this.fates.set(msgid, { status, atMs: Date.now() + desk.behaviour.between(receiptMs) });
    if (desk.fate === 'lose') return undefined;
    return { status: 200, body: { errcode: 0, errmsg: 'ok', fail_list: [], msgid } };
  }

  private senders(asked: Record<string, unknown>, desk: Desk): unknown[] {
    return tasksOf(asked, desk).map(({ content, providerId }) => {
      const { sender: userid } = content as { sender: string };
      const fate = this.confirmed(providerId);
      return { userid, status: fate ? 2 : 0, ...(fate && { send_time: Math.floor(fate.atMs / 1000) }) };
    });
  }

  private sends(asked: Record<string, unknown>, desk: Desk): unknown[] {
    const tasks = tasksOf(asked, desk).filter(({ content }) => (content as { sender: string }).sender === asked.userid);
    return tasks.map(({ to, providerId }) => {
      const fate = this.confirmed(providerId);
      const about = { external_userid: to, userid: asked.userid, status: fate?.status ?? 0 };
      return { ...about, ...(fate?.status === 1 && { send_time: Math.floor(fate.atMs / 1000) }) };
    });
  }

  private confirmed(msgid: string): Fate | undefined {
    const fate = this.fates.get(msgid);
    return fate && fate.atMs <= Date.now() ? fate : undefined;
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

function shown({ accepted, behaviour }: Desk): Accepted[] {
  return accepted.filter((m) => m.provider === 'wecom' && m.atMs <= Date.now() - behaviour.current.showAfterMs);
}

function tasksBetween({ start_time: from, end_time: to }: Record<string, unknown>, desk: Desk): unknown[] {
  const within = shown(desk).filter(({ atMs }) => atMs >= Number(from) * 1000 && atMs <= Number(to) * 1000);
  return within.map(({ providerId: msgid, atMs, content }) => {
    const { text, attachments = [] } = content as { text: unknown; attachments?: unknown[] };
    return { msgid, create_time: String(Math.floor(atMs / 1000)), create_type: 0, text, attachments };
  });
}

const tasksOf = ({ msgid }: Record<string, unknown>, desk: Desk): Accepted[] =>
  shown(desk).filter((m) => m.providerId === msgid);

function page({ limit = 50, cursor = '0' }: Record<string, unknown>, list: string, items: unknown[]): Answer {
  const [from, to] = [Number(cursor), Number(cursor) + Number(limit)];
  const next_cursor = to < items.length ? String(to) : '';
  return { status: 200, body: { errcode: 0, errmsg: 'ok', next_cursor, [list]: items.slice(from, to) } };
}

function errcode(code: number): Answer {
  return { status: 200, what: String(code), body: { errcode: code, errmsg: 'simulated' } };
}
