import { randomUUID } from 'node:crypto';
import type * as api from '#gen/recur/messaging/v1/messaging_service.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { DefinitionCalls } from '#lib/definitions/calls.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, unavailable } from '#lib/rpc/errors.ts';
import { ComposeError } from '../channels/channel.ts';
import type { Composer } from '../channels/email/compose.ts';
import type { SmtpTransport } from '../channels/email/smtp.ts';
import { TEMPLATE_KIND } from '../core/definitions.ts';
import { isEmailAddress } from '../core/header.ts';
import { contentFor, isLocale } from '../core/locale.ts';
import { checkTemplate } from '../render/mjml/compile-template.ts';
import type { MjmlCompiler } from '../render/mjml/mjml.ts';
import { render, TemplateError } from '../render/render.ts';
import { objectField, pageSizeField, refusal } from './json-field.ts';

export interface TemplatesParts {
  readonly store: DefinitionStore<Template>;
  readonly uses: Uses;
  readonly composer: Composer;
  readonly transport: SmtpTransport;
  readonly mjml: Pick<MjmlCompiler, 'compile'>;
  /** Settings in force, as far as rendering needs them. */
  readonly settings: () => { readonly defaultLocale: string; readonly shopName: string };
}

/** Templates: stored, looked at, tried out. */
export class Templates {
  private readonly parts: TemplatesParts;
  private readonly calls: DefinitionCalls<Template>;

  constructor(parts: TemplatesParts) {
    this.parts = parts;
    this.calls = new DefinitionCalls({
      store: parts.store,
      kind: TEMPLATE_KIND,
      message: Template,
      output: { revision: 0, updatedAtMs: 0 },
      answer: ({ definition, revision, updateTimeMs }) => ({ ...definition, revision, updatedAtMs: updateTimeMs }),
      users: (id) => parts.uses.of(TEMPLATE_KIND, id),
    });
  }

  async create({ template, requestId }: api.CreateTemplateRequest, call: Call): Promise<{ template: Template }> {
    return { template: await this.calls.create(await this.checked(template), requestId, call) };
  }

  async get({ id }: api.GetTemplateRequest): Promise<{ template: Template }> {
    return { template: await this.calls.get(id) };
  }

  async list({ pageSize, pageToken }: api.ListTemplatesRequest): Promise<api.ListTemplatesResponse> {
    const { items, nextPageToken } = await this.calls.list(pageSizeField(pageSize, 50, 200), pageToken);
    return { templates: items, nextPageToken };
  }

  async update({ template, requestId }: api.UpdateTemplateRequest, call: Call): Promise<{ template: Template }> {
    return { template: await this.calls.update(await this.checked(template), requestId, call) };
  }

  delete(request: api.DeleteTemplateRequest, call: Call): Promise<api.DeleteTemplateResponse> {
    return this.calls.delete(request, call);
  }

  async preview(request: api.PreviewTemplateRequest): Promise<api.PreviewTemplateResponse> {
    const { source } = request;
    if (!source) throw refusal('source', 'template_id or template is required');
    const template =
      source.$case === 'template'
        ? await this.checked(source.value)
        : (await this.parts.store.get(source.value)).definition;
    const wanted = this.locale(request.locale);
    const { locale, content } = contentFor(template, wanted);
    if (!content) throw refusal('template.content', 'is required');
    const customer = objectField('customer_json', request.customerJson);
    const journey = objectField('journey_json', request.journeyJson);
    const about = { id: 'preview', purpose: 'marketing', channel: template.channel, locale: wanted };
    const message = { ...about, unsubscribe_url: 'https://unsubscribe.example/' };
    try {
      const rendered = render(content, { customer, journey, message, shop: { name: this.parts.settings().shopName } });
      return { ...rendered, locale };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw refusal(`template.content.${error.part}`, `line ${error.line}, column ${error.column}: ${error.message}`);
    }
  }

  async sendTest(request: api.SendTestMessageRequest): Promise<api.SendTestMessageResponse> {
    const { to } = request;
    if (!isEmailAddress(to)) throw refusal('to', 'must be one e-mail address, at most 254 characters');
    const customer = { email: to, ...objectField('customer_json', request.customerJson) };
    const journey = objectField('journey_json', request.journeyJson);
    const locale = this.locale(request.locale);
    const { definition } = await this.parts.store.get(request.templateId);
    const idempotencyKey = `test:${randomUUID()}`;
    if (definition.channel !== 'email')
      throw failedPrecondition(`Tests go out by e-mail; the template is for ${definition.channel}.`);
    const values = { idempotencyKey, purpose: 'test', locale, to, customer, journey, unsubscribeUrl: '' };
    const mail = this.compose(definition, values);
    const result = await this.parts.transport.send(mail);
    switch (result.kind) {
      case 'accepted':
        return { messageId: mail.messageId, providerResponse: result.providerId };
      case 'refused':
        throw failedPrecondition(`The provider refused the message: ${result.reason}.`);
      case 'later':
        throw unavailable(`The provider did not take the message: ${result.reason}.`, { retryAfterMs: 5000 });
      case 'lost':
        throw unavailable(`The provider's answer was lost (${result.reason}): the message may have been sent.`);
    }
  }

  /** With its MJML compiled. @throws INVALID_ARGUMENT */
  private async checked<T extends Template | undefined>(given: T): Promise<Template | T> {
    if (given === undefined) return given;
    const { template, violations } = await checkTemplate(given, this.parts.mjml);
    refuse(violations);
    return template;
  }

  private compose(...[template, values]: Parameters<Composer['write']>) {
    try {
      return this.parts.composer.write(template, values);
    } catch (error) {
      if (!(error instanceof ComposeError)) throw error;
      throw failedPrecondition(`The template cannot be rendered: ${error.reason}.`);
    }
  }

  private locale(asked: string): string {
    if (asked === '') return this.parts.settings().defaultLocale;
    if (!isLocale(asked)) throw refusal('locale', 'must be a BCP 47 tag like "en" or "zh-CN"');
    return asked;
  }
}

function refuse(violations: readonly { field: string; description: string }[]): void {
  if (violations.length > 0) throw invalidArgument(violations);
}
