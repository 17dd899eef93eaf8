import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { AliyunWire } from './aliyun.ts';
import { ApnsWire } from './apns.ts';
import { Behaviour, type Fate, type Settings } from './behaviour.ts';
import { FcmWire } from './fcm.ts';
import { makeAccounts, type PushAccounts } from './push-accounts.ts';
import { TencentWire } from './tencent.ts';
import { WebPushWire } from './web-push.ts';
import { WebhookWire } from './webhook.ts';
import { WechatWire } from './wechat.ts';
import { WecomWire } from './wecom.ts';
import type { Accepted, Answer, Call, Desk, Push, Wire } from './wire.ts';

/** What its accounts are opened with; nothing of it is secret. */
export const SIMULATOR_KEYS = {
  accessKeyId: 'simulated-id',
  accessKeySecret: 'simulated-secret',
  smsAppId: '1400000000',
  wechatAccount: 'wx-simulated-account',
  wechatMini: 'wx-simulated-mini',
  /** Of the servers of both. */
  wechatToken: 'simulatedToken',
  /** Of the official account's server: it is in safe mode, the mini-program's in plain mode. */
  wechatAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
  wecomCorp: 'ww-simulated',
  webhookSecret: `whsec_${Buffer.alloc(32, 's').toString('base64')}`,
} as const;

const MAX_BODY = 1024 * 1024;

/** Calls by provider and fate, and every message taken. */
export interface Book {
  readonly accepted: readonly Accepted[];
  readonly calls: Readonly<Record<string, number>>;
  readonly receipts: number;
}

/**
 * Providers of messages on one port of this machine: each speaks its own protocol, behaves as told, and keeps its own record
 * of what it took, which is what tests believe.
 */
export class Simulator {
  readonly behaviour: Behaviour = new Behaviour();
  private accepted: Accepted[] = [];
  private calls = new Map<string, number>();
  private receipts = 0;
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly server: Server;
  private readonly http2: Http2Server;
  private readonly sessions = new Set<ServerHttp2Session>();
  private readonly wires: readonly Wire[];
  readonly fcm: FcmWire;
  readonly webPush: WebPushWire;
  private made: PushAccounts | undefined;

  constructor() {
    const { accessKeyId: id, accessKeySecret: secret, smsAppId: appId, webhookSecret } = SIMULATOR_KEYS;
    const { wechatAccount: account, wechatMini: mini, wechatToken: token, wechatAesKey: aesKey } = SIMULATOR_KEYS;
    this.fcm = new FcmWire(() => this.accounts);
    this.webPush = new WebPushWire(() => this.accounts);
    this.wires = [
      new AliyunWire({ id, secret }),
      new TencentWire({ id, secret, appId }),
      new WechatWire({ account, mini, secret, token, aesKey }),
      new WecomWire({ id: SIMULATOR_KEYS.wecomCorp, secret }),
      this.fcm,
      new ApnsWire(() => this.accounts),
      this.webPush,
      new WebhookWire(webhookSecret),
    ];
    this.server = createServer((request, response) => {
      const cut = () => response.socket?.destroy();
      this.handle(request, response, cut).catch(cut);
    });
    this.http2 = createHttp2Server((request, response) => {
      const cut = () => response.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
      this.handle(request, response, cut).catch(cut);
    });
    this.http2.on('session', (session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    await new Promise<void>((resolve) => this.http2.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** Where it speaks HTTP/2 (of prior knowledge, without TLS), as APNs does. */
  get http2Url(): string {
    return `http://127.0.0.1:${(this.http2.address() as AddressInfo).port}`;
  }

  /** What a service needs to push by it. */
  get accounts(): PushAccounts {
    this.made ??= makeAccounts(this.url);
    return this.made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get book(): Book {
    return { accepted: this.accepted, calls: Object.fromEntries(this.calls), receipts: this.receipts };
  }

  behave(settings: Partial<Settings>): void {
    this.behaviour.set(settings);
  }

  forget(): void {
    this.accepted = [];
    this.calls.clear();
    this.receipts = 0;
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.server.closeAllConnections();
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.http2.close(resolve));
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    cut: () => void,
  ): Promise<void> {
    const bytes = await read(request);
    const url = new URL(request.url ?? '/', 'http://simulator');
    const about = request.httpVersionMajor === 2 ? { http2: true } : {};
    const call: Call = {
      method: request.method ?? 'GET',
      url,
      headers: request.headers,
      body: bytes.toString('utf8'),
      bytes,
      ...about,
    };
    const answer = this.control(call) ?? (await this.provider(call));
    if (!answer) return cut();
    const type = answer.body === undefined ? {} : { 'content-type': 'application/json' };
    response.statusCode = answer.status;
    for (const [name, value] of Object.entries({ ...type, ...answer.headers })) response.setHeader(name, value);
    response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
  }

  /** /simulator/record (GET, DELETE) and /simulator/settings (GET, PUT). */
  private control({ method, url, body }: Call): Answer | undefined {
    switch (`${method} ${url.pathname}`) {
      case 'GET /simulator/record':
        return { status: 200, body: this.book };
      case 'DELETE /simulator/record':
        this.forget();
        return { status: 200, body: {} };
      case 'GET /simulator/settings':
        return { status: 200, body: this.behaviour.current };
      case 'PUT /simulator/settings':
        try {
          this.behave(JSON.parse(body) as Partial<Settings>);
          return { status: 200, body: this.behaviour.current };
        } catch (error) {
          return { status: 400, body: { error: (error as Error).message } };
        }
      default:
        return undefined;
    }
  }

  private async provider(call: Call): Promise<Answer | undefined> {
    const wire = this.wires.find((w) => w.takes(call));
    if (!wire) return { status: 404, body: { error: 'no provider speaks like this' } };
    const fate = this.behaviour.fate();
    const wait = this.behaviour.between(this.behaviour.current.latencyMs);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const answer = wire.answer(call, this.desk(wire, fate));
    const what = `${wire.provider} ${answer ? (answer.what ?? answer.status) : fate === 'lose' ? 'lost' : 'cut'}`;
    this.calls.set(what, (this.calls.get(what) ?? 0) + 1);
    return answer;
  }

  private desk(wire: Wire, fate: Fate): Desk {
    const { behaviour, accepted } = this;
    const accept = (message: Omit<Accepted, 'atMs'>) => {
      const taken: Accepted = { ...message, atMs: Date.now() };
      this.accepted.push(taken);
      this.promiseReceipt(wire, taken);
    };
    return { behaviour, fate, accepted, accept };
  }

  private promiseReceipt(wire: Wire, message: Accepted): void {
    const { receiptUrl, receiptMs, duplicateReceipt, noReceipt, bounce } = this.behaviour.current;
    if (!(wire.receipt || wire.push) || receiptUrl === '' || this.behaviour.chance(noReceipt)) return;
    const bounced = this.behaviour.chance(bounce);
    const times = this.behaviour.chance(duplicateReceipt) ? 2 : 1;
    const tell = () => this.tell(receiptUrl, () => pushOf(wire, message, bounced), 5);
    for (let i = 0; i < times; i++) this.later(this.behaviour.between(receiptMs), tell);
  }

  /** Like providers do: again, until somebody takes it. */
  private async tell(url: string, push: () => Push, left: number): Promise<void> {
    const { query, type, body } = push();
    const to = new URL(url);
    for (const [name, value] of Object.entries(query)) to.searchParams.set(name, value);
    const headers = { 'content-type': type };
    const answer = await fetch(to, { method: 'POST', headers, body }).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) this.receipts++;
    else if (left > 0) this.later(500, () => this.tell(url, push, left - 1));
  }

  private later(ms: number, run: () => Promise<void>): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      void run();
    }, ms);
    this.timers.add(timer);
  }
}

function pushOf(wire: Wire, message: Accepted, bounced: boolean): Push {
  if (wire.push) return wire.push(message, bounced);
  return { query: {}, type: 'application/json', body: JSON.stringify(wire.receipt?.(message, bounced)) };
}

async function read(request: IncomingMessage | Http2ServerRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error('too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
