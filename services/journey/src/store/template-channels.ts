import { status } from '@grpc/grpc-js';
import type { NatsConnection } from '@nats-io/transport-node';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';

/** Templates as they are stored now, where messaging keeps them; read only. */
export class TemplateChannels {
  readonly #store: DefinitionStore<Template>;

  private constructor(store: DefinitionStore<Template>) {
    this.#store = store;
  }

  static async open(nats: NatsConnection, replicas: number): Promise<TemplateChannels> {
    const validate = () => [{ field: 'template', description: 'is written by messaging alone' }];
    return new TemplateChannels(
      await DefinitionStore.open({ nats, kind: 'template', message: Template, validate, replicas }),
    );
  }

  /** Channel of each of those that exist, by id. */
  async of(ids: readonly string[]): Promise<Map<string, string>> {
    const found = await Promise.all([...new Set(ids)].map(async (id) => [id, await this.#channelOf(id)] as const));
    return new Map(found.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
  }

  async #channelOf(id: string): Promise<string | undefined> {
    try {
      return (await this.#store.get(id)).definition.channel;
    } catch (error) {
      const isMissing = error instanceof RpcError && [status.NOT_FOUND, status.INVALID_ARGUMENT].includes(error.code);
      if (isMissing) return undefined;
      throw error;
    }
  }
}
