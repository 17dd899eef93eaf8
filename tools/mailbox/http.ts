import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Chaos } from './chaos.ts';
import { letterOf, summaryOf } from './letter.ts';
import { listPage, mailPage } from './page.ts';
import type { MailStore, StoredMail } from './store.ts';

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Looks into the mailbox: the part of Mailpit's API that programs use, and a page for people. */
export function httpServer(store: MailStore, chaos: Chaos): Server {
  return createServer((request, response) => {
    answer(store, chaos, request, response).catch((error: Error) => {
      const status = error instanceof Refusal ? error.status : 500;
      if (response.headersSent) response.destroy();
      else json(response, { Error: error.message }, status);
    });
  });
}

async function answer(
  store: MailStore,
  chaos: Chaos,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://mailbox');
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method !== 'GET') sameOrigin(request);
  const [, id = '', part] = /^\/api\/v1\/message\/([^/]+)(?:\/(raw|headers))?$/.exec(url.pathname) ?? [];
  switch (`${method} ${id === '' ? url.pathname : '/api/v1/message'}`) {
    case 'GET /livez':
    case 'GET /readyz':
      return send(response, 'text/plain', 'ok\n');
    case 'GET /api/v1/count':
      return json(response, { count: store.count });
    case 'GET /api/v1/messages': {
      const { start, limit } = pageOf(url);
      return json(response, listOf(store.list(start, limit), store.count, start));
    }
    case 'GET /api/v1/search': {
      const { start, limit } = pageOf(url);
      const found = store.withMessageId(messageIdIn(url.searchParams.get('query') ?? ''));
      return json(response, listOf(found.slice(start, start + limit), found.length, start));
    }
    case 'GET /api/v1/message': {
      const mail = mailOf(store, id);
      if (part === 'raw') return send(response, 'text/plain; charset=utf-8', store.raw(mail));
      const letter = await letterOf(mail, store);
      return json(response, part === 'headers' ? letter.Headers : letter);
    }
    case 'DELETE /api/v1/messages':
      store.clear();
      return send(response, 'text/plain', 'ok\n');
    case 'GET /api/v1/chaos':
      return json(response, chaos.settings);
    case 'PUT /api/v1/chaos':
      await changeChaos(chaos, request);
      return json(response, chaos.settings);
    case 'GET /': {
      const { start, limit } = pageOf(url);
      return page(response, listPage(store.list(start, limit).map(summaryOf), store.count, start, limit));
    }
    case 'GET /mail':
      return page(response, mailPage(await letterOf(mailOf(store, url.searchParams.get('id') ?? ''), store)));
    default:
      throw new Refusal(404, `There is no ${method} ${url.pathname}.`);
  }
}

function listOf(mails: StoredMail[], total: number, start: number) {
  return { total, messages_count: total, count: mails.length, start, messages: mails.map(summaryOf) };
}

function mailOf(store: MailStore, id: string): StoredMail {
  const mail = id === 'latest' ? store.list(0, 1)[0] : store.get(id);
  if (mail === undefined) throw new Refusal(404, 'There is no such mail.');
  return mail;
}

function pageOf(url: URL): { start: number; limit: number } {
  const number = (name: string, otherwise: number, most: number) => {
    const text = url.searchParams.get(name) ?? String(otherwise);
    if (!/^\d{1,9}$/.test(text)) throw new Refusal(400, `${name} must be a whole number.`);
    return Math.min(Number(text), most);
  };
  return { start: number('start', 0, 1e9), limit: number('limit', 50, 1000) };
}

/** The one search there is: senders ask it whether a mail whose answer was lost has arrived. */
function messageIdIn(query: string): string {
  const [, id] = /^message-id:\s*"?([^"]+)"?\s*$/i.exec(query) ?? [];
  if (id === undefined) throw new Refusal(400, 'Only message-id:<id> can be searched for.');
  return id;
}

async function changeChaos(chaos: Chaos, request: IncomingMessage): Promise<void> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 10_000) throw new Refusal(413, 'Too long.');
  }
  try {
    chaos.set(JSON.parse(text === '' ? '{}' : text));
  } catch (error) {
    throw new Refusal(400, (error as Error).message);
  }
}

/** A page of somebody else's, open in the same browser, must not change anything here. */
function sameOrigin({ headers }: IncomingMessage): void {
  if (headers.origin !== undefined && !headers.origin.endsWith(`//${headers.host}`))
    throw new Refusal(403, 'Not from another site.');
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  send(response, 'application/json', JSON.stringify(body), status);
}

function page(response: ServerResponse, html: string): void {
  // Mails are shown, never run, and load nothing: opening one must not tell its sender.
  response.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
  );
  send(response, 'text/html; charset=utf-8', html);
}

function send(response: ServerResponse, type: string, body: string | Buffer, status = 200): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
