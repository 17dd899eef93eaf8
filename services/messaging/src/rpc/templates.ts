import { randomUUID } from 'node:crypto';
import type * as api from '#gen/recur/messaging/v1/messaging_service.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { DefinitionCalls } from '#lib/definitions/calls.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, notFound } from '#lib/rpc/errors.ts';
import type { StateReader } from '#lib/stream/state-reader.ts';
import type { Channels } from '../channels/channels.ts';
import type { Composer } from '../channels/email/compose.ts';
import type { SmtpTransport } from '../channels/email/smtp.ts';
import { TEST_PURPOSE, type Writer } from '../channels/writer.ts';
import { TEMPLATE_KIND } from '../core/definitions.ts';
import { isEmailAddress } from '../core/header.ts';
import { contentFor, isLocale } from '../core/locale.ts';
import { variablesOf } from '../core/template-variables.ts';
import { checkTemplate } from '../render/mjml/compile-template.ts';
import type { MjmlCompiler } from '../render/mjml/mjml.ts';
import { render, TemplateError } from '../render/render.ts';
import { checkCustomerId, objectField, pageSizeField, refusal } from './json-field.ts';
import { MAX_CUSTOMERS, reportMissing } from './missing-variables.ts';
import { scopeFor } from './scope.ts';
import { answered, MAX_TO, type TestValues, testSend, written } from './test-message.ts';

export interface TemplatesParts {
  readonly store: DefinitionStore<Template>;
  readonly uses: Uses;
  readonly composer: Composer;
  readonly transport: SmtpTransport;
  readonly mjml: Pick<MjmlCompiler, 'compile'>;
  readonly states: Pick<StateReader<CustomerState>, 'getMany'>;
  readonly writer: Pick<Writer, 'customerOf' | 'settings'>;
  readonly channels: Channels;
  /** Of JSON text. */
  readonly seal: (value: string) => Buffer;
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
    const template = await this.source(request.source);
    const known = await this.customer(request.customerId);
    const wanted = this.locale(request.locale || (known?.locale?.value ?? ''));
    const { locale, content } = contentFor(template, wanted);
    if (!content) throw refusal('template.content', 'is required');
    const traits = known && this.parts.writer.customerOf(known, template.channel);
    const customer = { ...traits, ...objectField('customer_json', request.customerJson) };
    const journey = objectField('journey_json', request.journeyJson);
    const { shopName } = this.parts.settings();
    try {
      const rendered = render(content, scopeFor(template, { locale: wanted, customer, journey, shopName }));
      return { ...rendered, missing: [...rendered.missing], variables: [...variablesOf(content).keys()], locale };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw refusal(`template.content.${error.part}`, `line ${error.line}, column ${error.column}: ${error.message}`);
    }
  }

  async reportMissing(request: api.ReportMissingVariablesRequest): Promise<api.ReportMissingVariablesResponse> {
    const customerIds = [...new Set(request.customerIds)];
    const { length } = request.customerIds;
    if (length === 0 || length > MAX_CUSTOMERS)
      throw refusal('customer_ids', `must be 1–${MAX_CUSTOMERS}, are ${length}`);
    for (const id of customerIds) checkCustomerId('customer_ids', id);
    const template = await this.source(request.source);
    const locale = request.locale === '' ? undefined : this.locale(request.locale);
    const journey = objectField('journey_json', request.journeyJson);
    return reportMissing(this.parts, { template, customerIds, locale, journey });
  }

  async sendTest(request: api.SendTestMessageRequest): Promise<api.SendTestMessageResponse> {
    const { definition, revision } = await this.parts.store.get(request.templateId);
    const { channel } = definition;
    const values: TestValues = {
      to: request.to,
      locale: this.locale(request.locale),
      customer: objectField('customer_json', request.customerJson),
      journey: objectField('journey_json', request.journeyJson),
    };
    if (channel === 'email') return this.testMail(definition, values);
    const lane = this.parts.channels.get(channel);
    if (!lane) throw failedPrecondition(`This cluster is not configured for ${channel}.`);
    if (values.to.length > MAX_TO) throw refusal('to', `must have at most ${MAX_TO} characters`);
    const message = written(() => lane.compose(testSend(definition, revision, values, this.parts.seal)));
    const providerResponse = answered(await lane.call(message));
    return { messageId: providerResponse, providerResponse };
  }

  private async testMail(definition: Template, { to, ...given }: TestValues): Promise<api.SendTestMessageResponse> {
    if (!isEmailAddress(to)) throw refusal('to', 'must be one e-mail address, at most 254 characters');
    const { locale, journey } = given;
    const about = { idempotencyKey: `test:${randomUUID()}`, purpose: TEST_PURPOSE, unsubscribeUrl: '' };
    const customer = { email: to, ...given.customer };
    const mail = written(() => this.parts.composer.write(definition, { ...about, locale, to, customer, journey }));
    return { messageId: mail.messageId, providerResponse: answered(await this.parts.transport.send(mail)) };
  }

  private async source(source: api.PreviewTemplateRequest['source']): Promise<Template> {
    if (!source) throw refusal('source', 'template_id or template is required');
    if (source.$case === 'template') return this.checked(source.value);
    return (await this.parts.store.get(source.value)).definition;
  }

  private async customer(customerId: string): Promise<CustomerState | undefined> {
    if (customerId === '') return undefined;
    checkCustomerId('customer_id', customerId);
    const [found] = await this.parts.states.getMany([customerId]);
    if (!found) throw notFound(`customer "${customerId}"`);
    return found.state;
  }

  /** With its MJML compiled. @throws INVALID_ARGUMENT */
  private async checked<T extends Template | undefined>(given: T): Promise<Template | T> {
    if (given === undefined) return given;
    const { template, violations } = await checkTemplate(given, this.parts.mjml);
    refuse(violations);
    return template;
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
