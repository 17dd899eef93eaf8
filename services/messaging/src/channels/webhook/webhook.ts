import { createHash } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import { objectOf } from '../../core/contact.ts';
import { webhookUrlProblem } from '../../core/webhook-url.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import type { Writer } from '../writer.ts';
import { BLOCKED, type Lookup, publicLookup } from './public-lookup.ts';

/** One signed call, as it goes out. */
export interface Delivery {
  readonly url: string;
  readonly id: string;
  readonly body: string;
}

export interface WebhookParts {
  readonly writer: Writer;
  /** `whsec_…`; the first is the current one, the others are still accepted by receivers that have not changed yet. */
  readonly secrets: readonly string[];
  readonly connections: number;
  /** Resolves names; the system's resolver when left out. Whatever it answers is held against the list of public addresses. */
  readonly lookup?: Lookup;
  /** Which addresses may be connected to; the public ones when left out. */
  readonly allows?: (address: string) => boolean;
  /** Certificate authorities beside those Node knows. */
  readonly ca?: string;
  /** Longest a call may take; 15 s when left out. */
  readonly callMs?: number;
  readonly now?: () => number;
}

const MAX_ANSWER = 16 * 1024;
const NOT_REACHED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
]);

/**
 * Signed webhooks (standardwebhooks.com) to whatever the shop runs. The id is the same for every attempt, so receivers sort
 * out repeats. It goes to public addresses only: the host is resolved here, and the address looked at is the one connected to.
 */
export class WebhookChannel implements Channel<Delivery> {
  readonly name = 'webhook';
  readonly connections: number;
  private readonly parts: WebhookParts;
  private readonly signers: readonly Webhook[];
  private readonly agent: Agent;

  constructor(parts: WebhookParts) {
    this.parts = parts;
    this.connections = parts.connections;
    this.signers = parts.secrets.map((secret) => new Webhook(secret));
    const { lookup, allows, ca, callMs = 15_000 } = parts;
    this.agent = new Agent({
      connect: { lookup: publicLookup(lookup, allows), timeout: callMs / 2, ...(ca !== undefined && { ca }) },
      ...{ headersTimeout: callMs, bodyTimeout: callMs, connections: parts.connections, pipelining: 1 },
    });
  }

  compose(send: Send): Delivery {
    const { writer, now = Date.now } = this.parts;
    const { request: asked, template, customer, journey } = writer.open(send);
    const id = `msg_${createHash('sha256').update(send.key).digest('hex').slice(0, 32)}`;
    const values = { id, purpose: asked.purpose, locale: send.work.locale, unsubscribeUrl: '', customer, journey };
    const { content, subject: type, text } = writer.render(template, values);
    const problem = webhookUrlProblem(content.url);
    if (problem) throw new ComposeError(`bad_url: ${problem}`);
    const data = objectOf(Buffer.from(text));
    if (!data) throw new ComposeError('bad_json: text must give a JSON object');
    const { journeyId, nodeId } = asked;
    const about = { customer_id: send.customerId, journey_id: journeyId, node_id: nodeId, idempotency_key: send.key };
    const body = JSON.stringify({ type, timestamp: new Date(now()).toISOString(), ...about, data });
    return { url: content.url, id, body };
  }

  async call({ url, id, body }: Delivery): Promise<CallResult> {
    const { callMs = 15_000, now = Date.now } = this.parts;
    const at = new Date(now());
    const headers = {
      ...{ 'content-type': 'application/json', 'user-agent': 'Recur', 'webhook-id': id },
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': this.signers.map((signer) => signer.sign(id, at, body)).join(' '),
    };
    try {
      // Redirects are not followed: where they lead was not looked at.
      const options = { method: 'POST' as const, headers, body, dispatcher: this.agent };
      const answer = await request(url, { ...options, signal: AbortSignal.timeout(callMs) });
      await answer.body.dump({ limit: MAX_ANSWER }).catch(() => undefined);
      return judge(answer.statusCode, id);
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? (error as Error).name).slice(0, 64);
      if (code === BLOCKED) return { kind: 'refused', reason: 'webhook not a public address' };
      const reason = `webhook ${code}`;
      return NOT_REACHED.has(code) ? { kind: 'later', reason, reached: false } : { kind: 'lost', reason };
    }
  }

  close(): void {
    void this.agent.close();
  }
}

function judge(status: number, id: string): CallResult {
  const reason = `webhook ${status}`;
  if (status >= 200 && status < 300) return { kind: 'accepted', providerId: id };
  if (status >= 300 && status < 400) return { kind: 'refused', reason: `${reason}: redirects are not followed` };
  // A gateway that got no answer from behind does not know either.
  if (status === 502 || status === 504) return { kind: 'lost', reason };
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return { kind: 'later', reason, reached: true };
  return { kind: 'refused', reason };
}
