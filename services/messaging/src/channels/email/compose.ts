import type { SendWork, StoredTrait } from '#gen/recur/messaging/v1/state.ts';
import type { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { objectOf } from '../../core/contact.ts';
import { isMarketing } from '../../core/decide.ts';
import type { TemplateInForce } from '../../core/definitions.ts';
import { isEmailAddress } from '../../core/header.ts';
import { contentFor } from '../../core/locale.ts';
import { type Rendered, render, TemplateError } from '../../render/render.ts';
import { ComposeError } from '../channel.ts';
import { type Mail, messageIdOf, unsubscribeHeader } from './message.ts';

export interface ComposerParts {
  /** Opens a sealed trait: JSON text. @throws when it cannot. */
  readonly open: (sealed: Uint8Array) => string;
  readonly sender: { readonly name: string; readonly address: string };
  readonly templates: {
    find(id: string, revision: number): TemplateInForce | undefined;
    readonly settings: MessagingSettings;
  };
}

/** Writes mails: opens what is sealed, renders, puts the headers on. */
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
  compose(work: SendWork): Mail {
    const request = work.request;
    if (!request) throw new ComposeError('bad_work');
    const to = this.value(work.addressSealed);
    if (typeof to !== 'string' || !isEmailAddress(to)) throw new ComposeError('bad_address');
    const template = this.parts.templates.find(request.templateId, work.templateRevision);
    if (!template) throw new ComposeError('template_missing');
    const journey = request.variablesJson.length > 0 ? objectOf(request.variablesJson) : {};
    if (!journey) throw new ComposeError('bad_variables');
    const customer = { email: to, ...this.traits(work.traits) };
    const { purpose, idempotencyKey } = request;
    const mail = this.write(template.template, { idempotencyKey, purpose, locale: work.locale, to, customer, journey });
    if (!isMarketing(request)) return mail;
    const { unsubscribeUrl } = this.parts.templates.settings;
    return { ...mail, headers: unsubscribeHeader(unsubscribeUrl, this.sender.address, mail.messageId) };
  }

  /** A mail from a template and values. @throws ComposeError */
  write(template: Template, values: Values): Mail {
    const { sender } = this;
    const messageId = this.messageId(values.idempotencyKey);
    const { subject, text, html } = this.render(template, values, messageId);
    return { messageId, from: sender, to: values.to, subject, text, html, headers: {} };
  }

  private render(template: Template, values: Values, messageId: string): Rendered {
    const { content } = contentFor(template, values.locale);
    if (!content) throw new ComposeError('template_error');
    const { customer, journey, purpose, locale } = values;
    try {
      const message = { id: messageId, purpose, channel: 'email', locale };
      return render(content, { customer, journey, message, shop: { name: this.parts.templates.settings.shopName } });
    } catch (error) {
      const where = error instanceof TemplateError ? `: ${error.part} line ${error.line}` : '';
      throw new ComposeError(`template_error${where}`, error);
    }
  }

  private get sender(): { name: string; address: string } {
    const { senderAddress, senderName } = this.parts.templates.settings;
    const { sender } = this.parts;
    return { address: senderAddress || sender.address, name: senderName || sender.name };
  }

  private traits(stored: Record<string, StoredTrait>): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [name, trait] of Object.entries(stored)) {
      const value = trait.sealed.length > 0 ? this.value(trait.sealed) : parse(trait.json.toString('utf8'));
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  /** Undefined when it cannot be opened: the key is gone, so the value is as good as not there. */
  private value(sealed: Uint8Array): unknown {
    try {
      return parse(this.parts.open(sealed));
    } catch {
      return undefined;
    }
  }
}

export interface Values {
  readonly idempotencyKey: string;
  readonly purpose: string;
  readonly locale: string;
  readonly to: string;
  readonly customer: Readonly<Record<string, unknown>>;
  readonly journey: Readonly<Record<string, unknown>>;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
