import type { OnModuleInit } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Webhook } from 'standardwebhooks';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { EventWriter } from './event-writer.ts';
import { GONE_PAGE, PIXEL, UNSUBSCRIBE_PAGE, UNSUBSCRIBED_PAGE } from './pages.ts';
import { aliyunReceipts, BadReceiptError, ownReceipts, type Taken, tencentReceipts } from './provider-receipts.ts';
import { eventOf, type Receipt, type ReceiptKind } from './receipt.ts';
import type { Tokens, TokenUse } from './tokens.ts';

export interface RoutesParts {
  readonly tokens: Tokens;
  readonly events: Pick<EventWriter, 'write'>;
  readonly logger: Logger;
  readonly fastify: FastifyInstance;
  /** Of receipts in Recur's own form; without any the route is not there. */
  readonly receiptSecrets: readonly string[] | undefined;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

const MAX_BODY = 512 * 1024;
/** A reader does not wait longer for the log. */
const PATIENCE_MS = 2000;

type Link = FastifyRequest<{ Params: { token: string } }>;

/**
 * What comes back over HTTP: pictures loaded, links followed, one-click unsubscribes (RFC 8058), receipts of providers. Each
 * becomes an event in INGEST. Tokens are what everything hangs on: nobody but Recur can make one.
 */
export class Routes implements OnModuleInit {
  private readonly parts: RoutesParts;
  private readonly verifiers: readonly Webhook[];

  constructor(parts: RoutesParts) {
    this.parts = parts;
    this.verifiers = (parts.receiptSecrets ?? []).map((secret) => new Webhook(secret));
  }

  onModuleInit(): void {
    this.parts.fastify.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers();
      const options = { parseAs: 'buffer' as const, bodyLimit: MAX_BODY };
      scope.addContentTypeParser('*', options, (_request, body, read) => read(null, body));
      // A HEAD is somebody's link checker, not a customer.
      const get = { exposeHeadRoute: false };
      scope.get('/m/o/:token', get, (request: Link, reply) => this.opened(request, reply));
      scope.get('/m/c/:token', get, (request: Link, reply) => this.clicked(request, reply));
      scope.get('/m/u/:token', get, (request: Link, reply) => this.asked(request, reply));
      scope.post('/m/u/:token', (request: Link, reply) => this.unsubscribed(request, reply));
      scope.post('/m/receipts/aliyun', (request, reply) => this.aliyun(request, reply));
      scope.post('/m/receipts/tencent', (request, reply) => this.tencent(request, reply));
      if (this.verifiers.length > 0) scope.post('/m/receipts', (request, reply) => this.own(request, reply));
      done();
    });
  }

  private async opened(request: Link, reply: FastifyReply): Promise<FastifyReply> {
    const receipt = this.receiptOf(request, 'open', 'opened');
    if (receipt) await this.patiently(receipt);
    // Whatever it was, mail programs get their picture.
    return reply.header('cache-control', 'no-store').type('image/gif').send(PIXEL);
  }

  private async clicked(request: Link, reply: FastifyReply): Promise<FastifyReply> {
    const receipt = this.receiptOf(request, 'click', 'clicked');
    if (!receipt?.url) return page(reply, 404, GONE_PAGE);
    await this.patiently(receipt);
    return reply
      .header('cache-control', 'no-store')
      .header('referrer-policy', 'no-referrer')
      .redirect(receipt.url, 302);
  }

  /** Mail scanners follow links: nothing happens before somebody presses the button. */
  private asked(request: Link, reply: FastifyReply): FastifyReply {
    const known = this.parts.tokens.read('unsubscribe', request.params.token);
    return known ? page(reply, 200, UNSUBSCRIBE_PAGE) : page(reply, 404, GONE_PAGE);
  }

  private async unsubscribed(request: Link, reply: FastifyReply): Promise<FastifyReply> {
    const receipt = this.receiptOf(request, 'unsubscribe', 'unsubscribed');
    if (!receipt) return page(reply, 404, GONE_PAGE);
    if (!(await this.store([receipt]))) return reply.header('retry-after', '5').code(503).send();
    return page(reply, 200, UNSUBSCRIBED_PAGE);
  }

  private async aliyun(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const answer = await this.take(request, (body, now) => aliyunReceipts(body, this.parts.tokens, now));
    // The provider repeats what was not answered with code 0.
    return reply.code(answer.status).send({ code: answer.status === 200 ? 0 : 1, msg: answer.message });
  }

  private async tencent(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const answer = await this.take(request, (body, now) => tencentReceipts(body, this.parts.tokens, now));
    return reply.code(answer.status).send({ result: answer.status === 200 ? 0 : 1, errmsg: answer.message });
  }

  private async own(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const headers = request.headers as Record<string, string>;
    const body = bytesOf(request).toString('utf8');
    if (!this.verifiers.some((verifier) => verifies(verifier, body, headers)))
      return reply
        .code(401)
        .send({ code: 'unauthorized', message: 'The signature (standardwebhooks) is missing or wrong.' });
    const { status, message } = await this.take(request, (parsed, now) => ownReceipts(parsed, this.parts.tokens, now));
    return reply
      .code(status)
      .send({ code: status === 200 ? 'ok' : status === 400 ? 'invalid' : 'unavailable', message });
  }

  private async take(
    request: FastifyRequest,
    read: (body: unknown, now: number) => Taken,
  ): Promise<{ status: number; message: string }> {
    try {
      const { receipts, foreign } = read(JSON.parse(bytesOf(request).toString('utf8')), this.parts.now());
      if (foreign > 0)
        this.parts.logger.warn({ foreign, route: request.routeOptions.url }, 'receipts of messages that are not ours');
      if (!(await this.store(receipts))) return { status: 503, message: 'The log does not answer. Send it again.' };
      return { status: 200, message: 'ok' };
    } catch (error) {
      if (error instanceof SyntaxError) return { status: 400, message: 'The body must be JSON.' };
      if (error instanceof BadReceiptError) return { status: 400, message: error.message };
      throw error;
    }
  }

  private receiptOf({ params }: Link, use: TokenUse, kind: ReceiptKind): Receipt | undefined {
    const known = this.parts.tokens.read(use, params.token);
    if (!known) return undefined;
    const { customerId, key, channel, target } = known;
    return { customerId, key, channel, kind, timeMs: this.parts.now(), ...(target !== undefined && { url: target }) };
  }

  /** The customer comes first: a log that does not answer costs a receipt, not a click. */
  private async patiently(receipt: Receipt): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([this.store([receipt]), late]);
    clearTimeout(timer);
  }

  /** Each becomes an event. @returns false when the log does not take them */
  readonly store = async (receipts: readonly Receipt[]): Promise<boolean> => {
    const now = this.parts.now();
    try {
      await this.parts.events.write(receipts.map((receipt) => eventOf(receipt, now)));
      return true;
    } catch (error) {
      this.parts.logger.warn({ err: error, receipts: receipts.length }, 'receipts cannot be stored');
      return false;
    }
  };
}

function verifies(verifier: Webhook, body: string, headers: Record<string, string>): boolean {
  try {
    verifier.verify(body, headers);
    return true;
  } catch (error) {
    // It reads the body after the signature was found right: what is no JSON is told so further on.
    return error instanceof SyntaxError;
  }
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function page(reply: FastifyReply, status: number, html: string): FastifyReply {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
  return reply
    .code(status)
    .header('content-security-policy', policy)
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8')
    .send(html);
}
