import { status } from '@grpc/grpc-js';
import type * as api from '#gen/recur/messaging/v1/messaging_service.ts';
import type { MessagingServiceService } from '#gen/recur/messaging/v1/messaging_service.ts';
import { MessagingSettings } from '#gen/recur/messaging/v1/template.ts';
import { updateSettings } from '#lib/definitions/calls.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { SETTINGS_KIND } from '../core/definitions.ts';
import { SETTINGS_ID, withDefaults } from '../core/settings.ts';
import type { CustomerMessages } from './customer-messages.ts';
import type { Templates } from './templates.ts';

export interface MessagingRpcParts {
  readonly templates: Templates;
  readonly settings: DefinitionStore<MessagingSettings>;
  readonly messages: CustomerMessages;
}

/** recur.messaging.v1.MessagingService. */
export class MessagingRpc implements Handlers<typeof MessagingServiceService> {
  private readonly parts: MessagingRpcParts;

  constructor(parts: MessagingRpcParts) {
    this.parts = parts;
  }

  createTemplate(request: api.CreateTemplateRequest, call: Call): Promise<api.CreateTemplateResponse> {
    return this.parts.templates.create(request, call);
  }

  getTemplate(request: api.GetTemplateRequest): Promise<api.GetTemplateResponse> {
    return this.parts.templates.get(request);
  }

  listTemplates(request: api.ListTemplatesRequest): Promise<api.ListTemplatesResponse> {
    return this.parts.templates.list(request);
  }

  updateTemplate(request: api.UpdateTemplateRequest, call: Call): Promise<api.UpdateTemplateResponse> {
    return this.parts.templates.update(request, call);
  }

  deleteTemplate(request: api.DeleteTemplateRequest, call: Call): Promise<api.DeleteTemplateResponse> {
    return this.parts.templates.delete(request, call);
  }

  previewTemplate(request: api.PreviewTemplateRequest): Promise<api.PreviewTemplateResponse> {
    return this.parts.templates.preview(request);
  }

  reportMissingVariables(request: api.ReportMissingVariablesRequest): Promise<api.ReportMissingVariablesResponse> {
    return this.parts.templates.reportMissing(request);
  }

  sendTestMessage(request: api.SendTestMessageRequest): Promise<api.SendTestMessageResponse> {
    return this.parts.templates.sendTest(request);
  }

  listMessages(request: api.ListMessagesRequest): Promise<api.ListMessagesResponse> {
    return this.parts.messages.list(request);
  }

  explainMessages(request: api.ExplainMessagesRequest): Promise<api.ExplainMessagesResponse> {
    return this.parts.messages.explain(request);
  }

  settleMessage(request: api.SettleMessageRequest, call: Call): Promise<api.SettleMessageResponse> {
    return this.parts.messages.settle(request, call);
  }

  async getMessagingSettings(): Promise<api.GetMessagingSettingsResponse> {
    try {
      const { definition, revision } = await this.parts.settings.get(SETTINGS_ID);
      return { settings: { ...withDefaults(definition), revision } };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return { settings: withDefaults({}) };
    }
  }

  async updateMessagingSettings(
    request: api.UpdateMessagingSettingsRequest,
    call: Call,
  ): Promise<api.UpdateMessagingSettingsResponse> {
    const given = request.settings && { ...withDefaults(request.settings), revision: request.settings.revision };
    const { settings: store } = this.parts;
    const place = {
      store,
      kind: SETTINGS_KIND,
      message: MessagingSettings,
      id: SETTINGS_ID,
      initial: withDefaults({}),
    };
    return { settings: await updateSettings(place, given, request.requestId, call) };
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof RpcError && error.code === status.NOT_FOUND;
}
