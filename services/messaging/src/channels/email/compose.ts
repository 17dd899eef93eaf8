import { type MessagingSettings, type Template, Tracking } from '#gen/recur/messaging/v1/template.ts';
import { isMarketing } from '../../core/decide.ts';
import { isEmailAddress } from '../../core/header.ts';
import type { Links } from '../../links/mark-up.ts';
import type { Tokens } from '../../links/tokens.ts';
import { ComposeError, type Send } from '../channel.ts';
import type { Values, Writer } from '../writer.ts';
import { type Mail, messageIdOf, unsubscribeHeaders } from './message.ts';

export interface ComposerParts {
  readonly writer: Writer;
  readonly sender: { readonly name: string; readonly address: string };
  /** Addresses that lead back here; without them there is no tracking and no one-click unsubscribe. */
  readonly links?: Links | undefined;
  readonly tokens?: Tokens | undefined;
}

export interface MailValues extends Omit<Values, 'id'> {
  readonly idempotencyKey: string;
  readonly to: string;
}

/** Writes mails: renders, puts the headers on. */
export class Composer {
  private readonly parts: ComposerParts;

  constructor(parts: ComposerParts) {
    this.parts = parts;
  }

  /** Known before anything else of a mail, to ask the provider for it. Independent of settings, which may change meanwhile. */
  messageId(idempotencyKey: string): string {
    return messageIdOf(idempotencyKey, this.parts.sender.address);
  }

  /** @throws ComposeError */
  compose(send: Send): Mail {
    const { request, template, address: to, customer: traits, journey } = this.parts.writer.open(send);
    if (typeof to !== 'string' || !isEmailAddress(to)) throw new ComposeError('bad_address');
    const { purpose, idempotencyKey } = request;
    const { settings } = this.parts.writer;
    const { links, tokens } = this.parts;
    const reference = { customerId: send.customerId, key: send.key, channel: 'email' };
    const oneClick = settings.unsubscribeUrl === '' ? links?.unsubscribe(reference) : undefined;
    const customer = { email: to, ...traits };
    const values = { idempotencyKey, purpose, locale: send.work.locale, to, customer, journey };
    const unsubscribeUrl = oneClick ?? settings.unsubscribeUrl;
    const mail = this.write(template, { ...values, unsubscribeUrl });
    const html = links && mail.html !== '' && tracks(settings) ? links.track(mail.html, reference) : mail.html;
    const known = links && tokens && { 'X-Recur-Reference': tokens.make('receipt', reference) };
    if (!isMarketing(request)) return { ...mail, html, headers: { ...known } };
    const unsubscribe = unsubscribeHeaders(settings.unsubscribeUrl, this.sender.address, mail.messageId, oneClick);
    return { ...mail, html, headers: { ...known, ...unsubscribe } };
  }

  /** A mail from a template and values. @throws ComposeError */
  write(template: Template, { idempotencyKey, to, ...values }: MailValues): Mail {
    const { sender } = this;
    const messageId = this.messageId(idempotencyKey);
    const { subject, text, html } = this.parts.writer.render(template, { ...values, id: messageId });
    return { messageId, from: sender, to, subject, text, html, headers: {} };
  }

  private get sender(): { name: string; address: string } {
    const { senderAddress, senderName } = this.parts.writer.settings;
    const { sender } = this.parts;
    return { address: senderAddress || sender.address, name: senderName || sender.name };
  }
}

function tracks({ tracking }: MessagingSettings): boolean {
  return tracking !== Tracking.TRACKING_NONE;
}
