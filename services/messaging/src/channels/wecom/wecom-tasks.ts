import { isDeepStrictEqual } from 'node:util';
import type { Receipt } from '../../links/receipt.ts';
import type { Answer, ErrcodeApi } from '../errcode/errcode-api.ts';

/** One task for the member of staff who knows the customer: the text, and a page below it. */
export interface WecomMessage {
  readonly chat_type: 'single';
  readonly external_userid: readonly [string];
  readonly sender?: string;
  readonly text: { readonly content: string };
  readonly attachments?: readonly [{ readonly msgtype: 'link'; readonly link: { title: string; url: string } }];
}

/** What became of a task's one message; `timeMs` is NaN where it does not say when. */
export type TaskResult = Pick<Receipt, 'kind' | 'timeMs' | 'bounceType' | 'reason'>;

const PAGE = 100;
const MAX_PAGES = 20;
/** Of one task there is one sender, or the few among whom the provider chose. */
const MAX_SENDERS = 20;
const MAX_KNOWN = 5000;

/** Of a send_list: why it did not arrive. */
const NOT_ARRIVED: Readonly<Record<number, string>> = {
  2: 'wecom 2: no contact of the sender',
  3: 'wecom 3: had another message',
};

/** The provider's record of tasks: it tells of itself nothing, and is asked. */
export class WecomTasks {
  private readonly api: ErrcodeApi;
  /** Of tasks whose answers were lost, so that many of them at a time are not asked about by each. */
  private readonly contacts = new Map<string, ReadonlySet<unknown>>();

  constructor(api: ErrcodeApi) {
    this.api = api;
  }

  /** Undefined: nobody has sent it yet. @throws when there is no clear answer */
  async resultOf(msgid: string): Promise<TaskResult | undefined> {
    for (const { status, send_time: sentS } of await this.sends(msgid)) {
      const timeMs = Number(sentS) * 1000;
      if (status === 1) return { kind: 'delivered', timeMs };
      const reason = NOT_ARRIVED[Number(status)];
      if (reason !== undefined) return { kind: 'bounced', bounceType: 'soft', reason, timeMs };
    }
    return undefined;
  }

  /**
   * The task with this very message, made between two moments (ms since 1970); undefined: there is none.
   * @param others those of these tasks that are known to be of other messages
   * @throws when there is no clear answer
   */
  async find(
    message: WecomMessage,
    [fromMs, toMs]: readonly [number, number],
    others: (msgids: readonly string[]) => Promise<ReadonlySet<string>>,
  ): Promise<string | undefined> {
    const alike: string[] = [];
    const between = { start_time: Math.floor(fromMs / 1000), end_time: Math.ceil(toMs / 1000) };
    for await (const task of this.all('get_groupmsg_list_v2', 'group_msg_list', { chat_type: 'single', ...between })) {
      const { msgid, text, attachments } = task;
      const { content } = (text ?? {}) as { content?: unknown };
      const same = content === message.text.content && sameAttachments(attachments, message.attachments);
      if (same && typeof msgid === 'string') alike.push(msgid);
    }
    const known = await others(alike);
    let failed: unknown;
    for (const msgid of alike) {
      if (known.has(msgid)) continue;
      try {
        if ((await this.contactsOf(msgid)).has(message.external_userid[0])) return msgid;
      } catch (error) {
        failed = error;
      }
    }
    if (failed !== undefined) throw failed;
    return undefined;
  }

  /** They are those it was made for. */
  private async contactsOf(msgid: string): Promise<ReadonlySet<unknown>> {
    const before = this.contacts.get(msgid);
    if (before) return before;
    const contacts = new Set((await this.sends(msgid)).map((send) => send.external_userid));
    if (this.contacts.size >= MAX_KNOWN) this.contacts.clear();
    // The provider may not have spread it yet.
    if (contacts.size > 0) this.contacts.set(msgid, contacts);
    return contacts;
  }

  /** Every contact of a task, by all its senders. */
  private async sends(msgid: string): Promise<Record<string, unknown>[]> {
    const sends: Record<string, unknown>[] = [];
    let senders = 0;
    for await (const { userid } of this.all('get_groupmsg_task', 'task_list', { msgid })) {
      if (++senders > MAX_SENDERS) throw new Error(`a task has more than ${MAX_SENDERS} senders`);
      for await (const send of this.all('get_groupmsg_send_result', 'send_list', { msgid, userid })) sends.push(send);
    }
    return sends;
  }

  /** Page after page. */
  private async *all(call: string, list: string, body: object): AsyncGenerator<Record<string, unknown>> {
    let cursor: unknown = '';
    for (let page = 0; page < MAX_PAGES; page++) {
      const answer = await this.ask(call, { ...body, limit: PAGE, ...(cursor !== '' && { cursor }) });
      const items = answer[list];
      if (items !== undefined && !Array.isArray(items)) throw new Error(`wecom ${call}: ${list} is no list`);
      for (const item of items ?? []) if (typeof item === 'object' && item !== null) yield item;
      cursor = answer.next_cursor ?? '';
      if (cursor === '') return;
    }
    throw new Error(`wecom ${call}: more than ${MAX_PAGES * PAGE} to look through`);
  }

  private async ask(call: string, body: object): Promise<Answer> {
    const reply = await this.api.post(`/cgi-bin/externalcontact/${call}`, body);
    if ('failed' in reply) throw new Error('reason' in reply.failed ? reply.failed.reason : reply.failed.kind);
    if (reply.answer.errcode !== 0) throw new Error(`wecom ${call}: ${reply.answer.errcode}`);
    return reply.answer;
  }
}

/** What was sent comes back with more beside it. */
function sameAttachments(stored: unknown, sent: WecomMessage['attachments']): boolean {
  const list = Array.isArray(stored) ? stored : [];
  if (list.length !== (sent?.length ?? 0)) return false;
  const [{ link: { title, url } = {} } = {}] = list as { link?: Record<string, unknown> }[];
  return sent === undefined || isDeepStrictEqual({ title, url }, sent[0].link);
}
