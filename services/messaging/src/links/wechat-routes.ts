import { setTimeout as sleep } from 'node:timers/promises';
import type { OnModuleInit } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { SentIndex } from '../store/sent-index.ts';
import { BadReceiptError } from './provider-receipts.ts';
import type { Receipt } from './receipt.ts';
import { type Query, UnsignedError, type WechatPush } from './wechat-push.ts';
import { type Told, type WechatApp, wechatTold } from './wechat-receipts.ts';

export interface WechatRoutesParts {
  /** Apps whose servers we are. */
  readonly apps: ReadonlyMap<WechatApp, WechatPush>;
  readonly sent: Pick<SentIndex, 'find'>;
  /** False: the log does not answer. */
  readonly store: (receipts: readonly Receipt[]) => Promise<boolean>;
  readonly logger: Logger;
  readonly fastify: FastifyInstance;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

const MAX_BODY = 64 * 1024;
/** The receipt of a message may overtake the answer of the call that sent it. WeChat waits five seconds. */
const ANSWER_MS = 1000;

type Request = FastifyRequest<{ Querystring: Query }>;

/**
 * `/m/receipts/wechat/account` and `…/mini`: the "server" of an official account, or message push of a mini-program. An app has
 * one for all it tells; what is no result of a message is answered and left.
 */
export class WechatRoutes implements OnModuleInit {
  private readonly parts: WechatRoutesParts;

  constructor(parts: WechatRoutesParts) {
    this.parts = parts;
  }

  onModuleInit(): void {
    this.parts.fastify.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers();
      const options = { parseAs: 'string' as const, bodyLimit: MAX_BODY };
      scope.addContentTypeParser('*', options, (_request, body, read) => read(null, body));
      for (const [app, push] of this.parts.apps) {
        const path = `/m/receipts/wechat/${app}`;
        scope.get(path, { exposeHeadRoute: false }, (request: Request, reply) => this.greet(push, request, reply));
        scope.post(path, (request: Request, reply) => this.take(app, push, request, reply));
      }
      done();
    });
  }

  private greet(push: WechatPush, { query }: Request, reply: FastifyReply): FastifyReply {
    try {
      return text(reply, 200, push.greeting(query, this.parts.now()));
    } catch (error) {
      return refuse(reply, error);
    }
  }

  private async take(app: WechatApp, push: WechatPush, request: Request, reply: FastifyReply): Promise<FastifyReply> {
    const { now, store, logger } = this.parts;
    let told: Told[];
    try {
      const body = typeof request.body === 'string' ? request.body : '';
      told = wechatTold(app, push.open(request.query, body, now()), now());
    } catch (error) {
      return refuse(reply, error);
    }
    const found = await Promise.all(told.map((one) => this.receiptOf(one)));
    const receipts = found.filter((receipt) => typeof receipt === 'object');
    const foreign = found.filter((receipt) => receipt === undefined).length;
    if (foreign > 0)
      logger.warn({ foreign, route: request.routeOptions.url }, 'receipts of messages that are not ours');
    const stored = await store(receipts);
    // What is not answered with this is pushed again, three times.
    if (stored && !found.includes('unsure')) return text(reply, 200, 'success');
    return text(reply.header('retry-after', '5'), 503, stored ? 'Several messages have no answer yet.' : 'No log.');
  }

  private async receiptOf({ openId, providerId, ...told }: Told): Promise<Receipt | 'unsure' | undefined> {
    const find = () => this.parts.sent.find(told.channel, openId, providerId, told.timeMs);
    let about = await find();
    if (about === 'unsure') {
      await sleep(ANSWER_MS);
      about = await find();
    }
    return typeof about === 'object' ? { ...told, ...about } : about;
  }
}

function refuse(reply: FastifyReply, error: unknown): FastifyReply {
  if (error instanceof UnsignedError) return text(reply, 401, error.message);
  if (error instanceof BadReceiptError) return text(reply, 400, error.message);
  throw error;
}

function text(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply.code(status).header('x-content-type-options', 'nosniff').type('text/plain; charset=utf-8').send(body);
}
