import type { AccessKey } from '../../core/credentials.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import { type Answer, ErrcodeApi, NoTokenError, type Reply } from '../errcode/errcode-api.ts';
import type { Writer } from '../writer.ts';

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

/** One task for the member of staff who knows the customer: the text, and a page below it. */
export interface WecomMessage {
  readonly chat_type: 'single';
  readonly external_userid: readonly [string];
  readonly sender?: string;
  readonly text: { readonly content: string };
  readonly attachments?: readonly [{ readonly msgtype: 'link'; readonly link: { title: string; url: string } }];
}

export interface WecomParts {
  readonly api: ErrcodeApi;
  readonly writer: Writer;
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

/**
 * Messages to customers of a company's staff (external contacts), as the provider has them: a task that goes out when the
 * member of staff confirms it. SENT means that the task was taken.
 */
export class WecomChannel implements Channel<WecomMessage> {
  readonly name = 'wecom';
  readonly connections: number;
  readonly perSecond: number;
  private readonly parts: WecomParts;

  constructor(parts: WecomParts) {
    this.parts = parts;
    this.connections = parts.connections;
    this.perSecond = parts.perSecond;
  }

  compose(send: Send): WecomMessage {
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

  async call(message: WecomMessage): Promise<CallResult> {
    return judge(await this.parts.api.post('/cgi-bin/externalcontact/add_msg_template', message));
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
