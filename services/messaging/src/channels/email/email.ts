import type { CallResult, Channel, Found, Send } from '../channel.ts';
import type { Composer } from './compose.ts';
import type { SentLookup } from './lookup.ts';
import type { Mail } from './message.ts';
import type { SmtpTransport } from './smtp.ts';

export interface EmailParts {
  readonly composer: Pick<Composer, 'compose' | 'messageId'>;
  readonly transport: Pick<SmtpTransport, 'send' | 'close'>;
  readonly connections: number;
  /** Where to ask whether a message arrived. */
  readonly lookup?: Pick<SentLookup, 'has'> | undefined;
}

/** E-mail by SMTP. A mail is known again by its Message-ID. */
export class EmailChannel implements Channel<Mail> {
  readonly name = 'email';
  readonly connections: number;
  readonly find: ((send: Send) => Promise<Found>) | undefined;
  private readonly parts: EmailParts;

  constructor(parts: EmailParts) {
    this.parts = parts;
    this.connections = parts.connections;
    const { lookup } = parts;
    if (lookup) this.find = (send) => this.findBy(lookup, send);
  }

  compose(send: Send): Mail {
    return this.parts.composer.compose(send);
  }

  call(mail: Mail): Promise<CallResult> {
    return this.parts.transport.send(mail);
  }

  close(): void {
    this.parts.transport.close();
  }

  private async findBy(lookup: Pick<SentLookup, 'has'>, { key }: Send): Promise<Found> {
    const messageId = this.parts.composer.messageId(key);
    const has = await lookup.has(messageId);
    return has ? { kind: 'has', providerId: messageId, reason: 'found by its Message-ID' } : { kind: 'has not' };
  }
}
