import type { AccessKey } from '../../core/credentials.ts';
import type { Reference } from '../../links/tokens.ts';
import type { TaskLedger } from '../../store/task-ledger.ts';
import { type CallResult, type Channel, ComposeError, type Found, type Send } from '../channel.ts';
import { type Answer, ErrcodeApi, NoTokenError, type Reply } from '../errcode/errcode-api.ts';
import type { Writer } from '../writer.ts';
import { type WecomMessage, WecomTasks } from './wecom-tasks.ts';

export interface WecomOptions {
  /** Corp id, and the secret of "customer contact" or of an app that may call it. */
  readonly corp: AccessKey;
  readonly connections: number;
  /** http(s)://host[:port]; the provider's own when left out. */
  readonly endpoint?: string | undefined;
  readonly callMs?: number | undefined;
}

/** The API of one company. `gettoken` gives the same token to all who ask while its time is not up. */
export function openWecom({ corp, endpoint = 'https://qyapi.weixin.qq.com', ...rest }: WecomOptions): ErrcodeApi {
  const query = new URLSearchParams({ corpid: corp.id, corpsecret: corp.secret });
  return new ErrcodeApi({
    ...{ provider: 'wecom', endpoint, connections: rest.connections, callMs: rest.callMs },
    grant: async (call) => {
      const answer = await call('GET', `/cgi-bin/gettoken?${query}`).catch((error: { code?: string }) => {
        throw new NoTokenError(`no token: ${error.code ?? 'no answer'}`);
      });
      const { access_token: token, expires_in: expiresInS } = answer;
      if (typeof token === 'string' && typeof expiresInS === 'number') return { token, expiresInS };
      throw new NoTokenError(`no token: ${answer.errcode}`);
    },
  });
}

/** One call. */
export interface WecomCall {
  readonly message: WecomMessage;
  /** What it is to us. */
  readonly about: Reference;
}

export interface WecomParts {
  readonly api: ErrcodeApi;
  readonly writer: Writer;
  readonly ledger: Pick<TaskLedger, 'taken' | 'known'>;
  /** Member of staff who sends; undefined: the one the provider chooses among those who know the customer. */
  readonly sender: string | undefined;
  readonly connections: number;
  readonly perSecond: number;
}

const EXTERNAL_USERID = /^w[mo][\w-]{10,62}$/;
const MAX_TEXT_BYTES = 4000;
const MAX_TITLE_BYTES = 128;

const REFUSED: Readonly<Record<number, string>> = {
  40096: 'no such external contact',
  84061: 'the customer is no external contact',
};
/** Nothing was sent: too many calls, or settings a person can mend. */
const LATER = new Set([45009, 45033, 40001, 40013, 40014, 42001, 48002, 60020]);

/** Clocks of two companies. */
const CLOCKS_MS = 60_000;

/**
 * Messages to customers of a company's staff (external contacts), as the provider has them: a task that goes out when the
 * member of staff confirms it. SENT means that the task was taken; what became of it is asked later (wecom-results.ts).
 */
export class WecomChannel implements Channel<WecomCall> {
  readonly name = 'wecom';
  readonly connections: number;
  readonly perSecond: number;
  readonly tasks: WecomTasks;
  private readonly parts: WecomParts;

  constructor(parts: WecomParts) {
    this.parts = parts;
    this.tasks = new WecomTasks(parts.api);
    this.connections = parts.connections;
    this.perSecond = parts.perSecond;
  }

  compose(send: Send): WecomCall {
    return { message: this.write(send), about: { customerId: send.customerId, key: send.key, channel: this.name } };
  }

  private write(send: Send): WecomMessage {
    const { writer, sender } = this.parts;
    const { request, template, address, customer, journey } = writer.open(send);
    if (typeof address !== 'string' || !EXTERNAL_USERID.test(address)) throw new ComposeError('bad_address');
    const about = { id: send.key, purpose: request.purpose, locale: send.work.locale, unsubscribeUrl: '' };
    const { content, subject: title, text } = writer.render(template, { ...about, customer, journey });
    const bytes = Buffer.byteLength(text);
    if (bytes === 0 || bytes > MAX_TEXT_BYTES) throw new ComposeError(`bad_text: must have 1–${MAX_TEXT_BYTES} bytes`);
    if (Buffer.byteLength(title) > MAX_TITLE_BYTES)
      throw new ComposeError(`bad_subject: at most ${MAX_TITLE_BYTES} bytes`);
    return {
      ...{ chat_type: 'single', external_userid: [address], text: { content: text } },
      ...(sender !== undefined && { sender }),
      ...(content.url !== '' && { attachments: [{ msgtype: 'link', link: { title, url: content.url } }] }),
    };
  }

  async call({ message, about }: WecomCall): Promise<CallResult> {
    const result = judge(await this.parts.api.post('/cgi-bin/externalcontact/add_msg_template', message));
    if (result.kind === 'accepted') await this.enter(result.providerId, about);
    return result;
  }

  /** Among the tasks made since it was decided, by what it says and whom it is for. */
  readonly find = async (send: Send): Promise<Found> => {
    const { message, about } = this.compose(send);
    const since = send.work.decidedAtMs - CLOCKS_MS;
    const msgid = await this.tasks.find(message, [since, Date.now() + CLOCKS_MS], this.parts.ledger.known);
    if (msgid === undefined) return { kind: 'not seen' };
    await this.enter(msgid, about);
    return { kind: 'has', providerId: msgid, reason: 'found among the tasks' };
  };

  /** Not to learn what became of it is better than not to say that it was taken. */
  private async enter(msgid: string, about: Reference): Promise<void> {
    if (msgid !== '') await this.parts.ledger.taken(msgid, about).catch(() => {});
  }

  close(): void {
    this.parts.api.close();
  }
}

/** -1 is "busy": whether the task was taken nobody says. */
function judge(reply: Reply): CallResult {
  if ('failed' in reply) return reply.failed;
  const { errcode, fail_list: failed, msgid } = reply.answer as Answer & { fail_list?: unknown; msgid?: unknown };
  if (errcode === 0 && Array.isArray(failed) && failed.length > 0)
    return { kind: 'refused', reason: 'wecom: cannot be written to now, by this sender or as often' };
  if (errcode === 0) return { kind: 'accepted', providerId: typeof msgid === 'string' ? msgid.slice(0, 64) : '' };
  const known = REFUSED[errcode];
  const reason = `wecom ${errcode}${known ? `: ${known}` : ''}`;
  if (errcode < 0) return { kind: 'lost', reason };
  return LATER.has(errcode) ? { kind: 'later', reason, reached: true } : { kind: 'refused', reason };
}
