import { Agent, request } from 'undici';
import { parseExactly } from '../../core/exact-json.ts';
import type { CallResult } from '../channel.ts';
import { AccessToken, type Grant } from './access-token.ts';

/** What WeChat and WeCom answer whatever they are asked. */
export interface Answer extends Readonly<Record<string, unknown>> {
  /** 0: done. */
  readonly errcode: number;
}

export type Reply = { readonly answer: Answer } | { readonly failed: CallResult };

export interface ErrcodeApiParts {
  /** For reasons: "wechat". */
  readonly provider: string;
  /** http(s)://host[:port] */
  readonly endpoint: string;
  readonly connections: number;
  /** Longest a call may take; 10 s when left out. */
  readonly callMs?: number | undefined;
  /** Gets a token. @param call asks without one. @throws NoTokenError */
  readonly grant: (call: RawCall, refused: string | undefined) => Promise<Grant>;
}

export type RawCall = (method: 'GET' | 'POST', path: string, body?: object) => Promise<Answer>;

/** No token was given: nothing of a message has left. The reason holds codes only. */
export class NoTokenError extends Error {}

/** The connection could not be made (not `reached`), or broke (`reached`). The code is the system's. */
class CallError extends Error {
  readonly code: string;
  readonly reached: boolean;
  constructor(code: string, reached: boolean) {
    super(code);
    this.code = code;
    this.reached = reached;
  }
}

/** The token is wrong, unknown, or its time is up. Nothing else was looked at. */
const TOKEN_CODES = new Set([40001, 40014, 42001, 42007]);
const NOT_REACHED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
]);
const MAX_ANSWER = 64 * 1024;

/**
 * JSON over HTTPS as WeChat and WeCom have it: an access token in the query, `errcode` in the answer. A call refused for its
 * token is made once more with another one. Addresses called hold the token, so they never get into reasons.
 */
export class ErrcodeApi {
  private readonly parts: ErrcodeApiParts;
  private readonly agent: Agent;
  private readonly token: AccessToken;

  constructor(parts: ErrcodeApiParts) {
    this.parts = parts;
    const timeout = parts.callMs ?? 10_000;
    this.agent = new Agent({ connect: { timeout: timeout / 2 }, connections: parts.connections, pipelining: 1 });
    this.token = new AccessToken({ fetch: (refused) => parts.grant(this.raw, refused) });
  }

  /** Never rejects. */
  async post(path: string, body: object): Promise<Reply> {
    for (let left = 1; ; left--) {
      let token: string;
      try {
        token = await this.token.get();
      } catch (error) {
        const reason = error instanceof NoTokenError ? error.message : 'no token';
        return { failed: { kind: 'later', reason: `${this.parts.provider} ${reason}`, reached: false } };
      }
      try {
        const answer = await this.raw('POST', `${path}?access_token=${encodeURIComponent(token)}`, body);
        if (!TOKEN_CODES.has(answer.errcode)) return { answer };
        this.token.refuse(token);
        if (left === 0) return { answer };
      } catch (error) {
        const { code = 'no answer', reached = true } = error instanceof CallError ? error : {};
        const reason = `${this.parts.provider} ${code}`;
        return { failed: reached ? { kind: 'lost', reason } : { kind: 'later', reason, reached } };
      }
    }
  }

  /** Once more is fine: channels share it. */
  close(): void {
    if (!this.agent.closed) void this.agent.close();
  }

  /** @throws CallError */
  private readonly raw: RawCall = async (method, path, body) => {
    const { endpoint, callMs = 10_000 } = this.parts;
    const options = { method, dispatcher: this.agent, signal: AbortSignal.timeout(callMs) };
    const headers = { 'content-type': 'application/json' };
    let text: string;
    try {
      const answer = await request(new URL(path, endpoint), {
        ...options,
        ...(body && { headers, body: JSON.stringify(body) }),
      });
      text = await read(answer.body);
      if (answer.statusCode !== 200) throw new CallError(`HTTP ${answer.statusCode}`, true);
    } catch (error) {
      if (error instanceof CallError) throw error;
      const { code: given, name } = error as { code?: unknown; name: string };
      const code = typeof given === 'string' ? given.slice(0, 64) : name;
      throw new CallError(code, !NOT_REACHED.has(code));
    }
    return parse(text);
  };
}

/** @throws CallError */
function parse(text: string): Answer {
  try {
    const value = parseExactly(text) as Record<string, unknown> | null;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const { errcode = 0 } = value;
      if (typeof errcode === 'number') return { ...value, errcode };
    }
  } catch {
    // Told below.
  }
  throw new CallError('an answer that is none', true);
}

async function read(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new CallError('too large an answer', true);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
