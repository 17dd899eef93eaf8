import { createHash } from 'node:crypto';
import type { Reference } from '../../links/tokens.ts';
import type { SentIndex } from '../../store/sent-index.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import type { ErrcodeApi } from '../errcode/errcode-api.ts';
import type { Writer } from '../writer.ts';
import { judge } from './wechat-api.ts';

/** One call. */
export interface WechatMessage {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** What it is to us. */
  readonly about: Reference;
}

export interface WechatParts {
  readonly api: ErrcodeApi;
  readonly writer: Writer;
  /** Where receipts find their message; undefined: nobody tells us any. */
  readonly sent?: Pick<SentIndex, 'begun' | 'taken' | 'refused'> | undefined;
  readonly connections: number;
  readonly perSecond: number;
}

interface Kind {
  readonly path: string;
  /** Where the template's url goes. */
  readonly link: 'url' | 'page';
  /** The provider sends no second message with an id of ours, for so long, ms. */
  readonly repeatableMs?: number;
}

/** It promises ten minutes. */
const REPEATABLE_MS = 9 * 60_000;

export const WECHAT_KINDS = {
  wechat_template: { path: '/cgi-bin/message/template/send', link: 'url', repeatableMs: REPEATABLE_MS },
  wechat_subscribe: { path: '/cgi-bin/message/subscribe/bizsend', link: 'page' },
  wechat_mini: { path: '/cgi-bin/message/subscribe/send', link: 'page' },
} as const satisfies Record<string, Kind>;

const OPENID = /^[\w-]{16,64}$/;

/** Messages of an official account or a mini-program: a text the provider approved, its variables, and a page it leads to. */
export class WechatChannel implements Channel<WechatMessage> {
  readonly name: keyof typeof WECHAT_KINDS;
  readonly connections: number;
  readonly perSecond: number;
  readonly repeatableMs: number | undefined;
  private readonly parts: WechatParts;
  private readonly kind: Kind;

  constructor(name: keyof typeof WECHAT_KINDS, parts: WechatParts) {
    this.name = name;
    this.parts = parts;
    this.kind = WECHAT_KINDS[name];
    this.connections = parts.connections;
    this.perSecond = parts.perSecond;
    this.repeatableMs = this.kind.repeatableMs;
  }

  compose(send: Send): WechatMessage {
    const { writer } = this.parts;
    const { path, link, repeatableMs } = this.kind;
    const { request, template, address: touser, customer, journey } = writer.open(send);
    if (typeof touser !== 'string' || !OPENID.test(touser)) throw new ComposeError('bad_address');
    const about = { id: send.key, purpose: request.purpose, locale: send.work.locale, unsubscribeUrl: '' };
    const { content, parameters } = writer.render(template, { ...about, customer, journey });
    const data = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { value }]));
    const body = {
      ...{ touser, template_id: content.providerTemplate, data },
      ...(content.url !== '' && { [link]: content.url }),
      ...(repeatableMs !== undefined && { client_msg_id: idOf(send.key) }),
    };
    return { path, body, about: { customerId: send.customerId, key: send.key, channel: this.name } };
  }

  async call({ path, body, about }: WechatMessage): Promise<CallResult> {
    const { api, sent } = this.parts;
    const to = String(body.touser);
    // Not to know a receipt's message is better than not to send it.
    await sent?.begun(to, about).catch(() => {});
    const result = judge(await api.post(path, body));
    if (result.kind === 'accepted') await sent?.taken(to, about, result.providerId).catch(() => {});
    else if (result.kind !== 'lost') await sent?.refused(to, about).catch(() => {});
    return result;
  }

  close(): void {
    this.parts.api.close();
  }
}

/** The same for every attempt. */
function idOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}
