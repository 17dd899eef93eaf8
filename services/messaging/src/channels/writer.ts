import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState, StoredTrait } from '#gen/recur/messaging/v1/state.ts';
import type { MessagingSettings, Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { objectOf } from '../core/contact.ts';
import type { TemplateInForce } from '../core/definitions.ts';
import { contentFor } from '../core/locale.ts';
import { type Rendered, render, TemplateError } from '../render/render.ts';
import { ComposeError, type Send } from './channel.ts';

/** Of messages to people of the shop. */
export const TEST_PURPOSE = 'test';

export interface WriterParts {
  /** Opens a sealed trait: JSON text. @throws when it cannot. */
  readonly open: (sealed: Uint8Array) => string;
  readonly templates: {
    find(id: string, revision: number): TemplateInForce | undefined;
    readonly settings: MessagingSettings;
  };
  /** Told of variables that printed nothing in a message to a customer. */
  readonly onMissing?: (templateId: string, variables: readonly string[]) => void;
}

/** What a template is written with. */
export interface Values {
  /** What it sees as `message.id`. */
  readonly id: string;
  readonly purpose: string;
  readonly locale: string;
  /** Where a customer says: no more of these. Empty: there is no such page. */
  readonly unsubscribeUrl: string;
  readonly customer: Readonly<Record<string, unknown>>;
  readonly journey: Readonly<Record<string, unknown>>;
}

export interface Written extends Rendered {
  /** In the customer's language. */
  readonly content: TemplateContent;
}

/** A send, opened: no longer sealed, so never to be kept or logged. */
export interface Opened {
  readonly request: SendRequest;
  readonly template: Template;
  /** Undefined when there is none, or it cannot be opened. */
  readonly address: unknown;
  readonly customer: Readonly<Record<string, unknown>>;
  readonly journey: Readonly<Record<string, unknown>>;
}

/** What all channels do to write a message: open what is sealed, find the template, render it. */
export class Writer {
  private readonly parts: WriterParts;

  constructor(parts: WriterParts) {
    this.parts = parts;
  }

  get settings(): MessagingSettings {
    return this.parts.templates.settings;
  }

  /** @throws ComposeError */
  open({ work }: Send): Opened {
    const { request } = work;
    if (!request) throw new ComposeError('bad_work');
    const found = this.parts.templates.find(request.templateId, work.templateRevision);
    if (!found) throw new ComposeError('template_missing');
    const journey = request.variablesJson.length > 0 ? objectOf(request.variablesJson) : {};
    if (!journey) throw new ComposeError('bad_variables');
    const address = work.addressSealed.length > 0 ? this.value(work.addressSealed) : undefined;
    return { request, template: found.template, address, customer: this.traits(work.traits), journey };
  }

  /** @throws ComposeError */
  render(template: Template, { id, customer, journey, purpose, locale, unsubscribeUrl }: Values): Written {
    const { content } = contentFor(template, locale);
    if (!content) throw new ComposeError('template_error');
    try {
      const message = { id, purpose, channel: template.channel, locale, unsubscribe_url: unsubscribeUrl };
      const shop = { name: this.settings.shopName };
      const rendered = render(content, { customer, journey, message, shop });
      if (rendered.missing.length > 0 && purpose !== TEST_PURPOSE)
        this.parts.onMissing?.(template.id, rendered.missing);
      return { content, ...rendered };
    } catch (error) {
      const where = error instanceof TemplateError ? `: ${error.part} line ${error.line}` : '';
      throw new ComposeError(`template_error${where}`, error);
    }
  }

  /** A customer as templates of a channel see it. */
  customerOf(state: CustomerState, channel: string): Record<string, unknown> {
    const traits = this.traits(state.traits);
    const email = channel === 'email' && state.email?.sealed.length ? this.value(state.email.sealed) : undefined;
    return email === undefined ? traits : { email, ...traits };
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

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
