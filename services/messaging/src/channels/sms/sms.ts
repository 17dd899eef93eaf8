import type { Tokens } from '../../links/tokens.ts';
import { type CallResult, type Channel, ComposeError, type Found, type Send } from '../channel.ts';
import type { Writer } from '../writer.ts';

/** One text message, as providers take it: a text they approved before, and its variables. */
export interface Sms {
  /** E.164. */
  readonly to: string;
  /** Who it is from, put before the text; without 【】. */
  readonly signature: string;
  readonly template: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Comes back in receipts and queries. */
  readonly reference: string;
}

/** What to look for at a provider: who it went to, when at the earliest, and whether a reference is that of the message. */
export interface SmsQuery {
  readonly to: string;
  readonly sinceMs: number;
  readonly isIt: (reference: string) => boolean;
}

export interface SmsProvider {
  /** Never rejects. */
  send(sms: Sms): Promise<CallResult>;
  /** @throws when the provider gives no clear answer */
  find(query: SmsQuery): Promise<Found>;
}

export interface SmsParts {
  readonly provider: SmsProvider;
  readonly writer: Writer;
  readonly tokens: Tokens;
  readonly connections: number;
  readonly perSecond: number;
}

const PHONE = /^\+[1-9]\d{6,14}$/;
/** Providers keep so much of what is ours with a message. */
const MAX_REFERENCE = 255;

export class SmsChannel implements Channel<Sms> {
  readonly name = 'sms';
  readonly connections: number;
  readonly perSecond: number;
  private readonly parts: SmsParts;

  constructor(parts: SmsParts) {
    this.parts = parts;
    this.connections = parts.connections;
    this.perSecond = parts.perSecond;
  }

  compose(send: Send): Sms {
    const { writer, tokens } = this.parts;
    const { request, template, address, customer, journey } = writer.open(send);
    const to = phoneOf(address);
    const { smsSignature: signature } = writer.settings;
    if (signature === '') throw new ComposeError('no_signature');
    const about = { id: send.key, purpose: request.purpose, locale: send.work.locale, unsubscribeUrl: '' };
    const values = { ...about, customer, journey };
    const { content, parameters } = writer.render(template, values);
    const reference = tokens.make('receipt', { customerId: send.customerId, key: send.key, channel: this.name });
    if (reference.length > MAX_REFERENCE) throw new ComposeError('key_too_long');
    return { to, signature, template: content.providerTemplate, parameters, reference };
  }

  call(sms: Sms): Promise<CallResult> {
    return this.parts.provider.send(sms);
  }

  readonly find = (send: Send): Promise<Found> => {
    const { writer, tokens, provider } = this.parts;
    const to = phoneOf(writer.open(send).address);
    const isIt = (reference: string) => tokens.read('receipt', reference)?.key === send.key;
    return provider.find({ to, sinceMs: send.work.decidedAtMs, isIt });
  };

  close(): void {}
}

function phoneOf(address: unknown): string {
  if (typeof address !== 'string' || !PHONE.test(address)) throw new ComposeError('bad_address');
  return address;
}
