import type { NatsConnection } from '@nats-io/transport-node';
import { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import { PhoneBook } from '#lib/identifiers/contact.ts';
import { IDENTIFIER_TYPE_KIND, IdentifierTypes } from '#lib/identifiers/types.ts';
import { IdentifierValues } from '#lib/identifiers/values.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { type DefinitionSource, watchDefinitions } from './watch.ts';

/** The identifier types as identity's callers define them, followed while the service runs. */
export class TypesInForce {
  values: IdentifierValues;
  readonly #defined = new Map<string, IdentifierType>();
  readonly #phones: PhoneBook;
  readonly #watch: DefinitionSource;

  constructor(nats: NatsConnection, country: string, logger: Logger, replicas: number) {
    this.#phones = new PhoneBook(country);
    this.values = new IdentifierValues(new IdentifierTypes(), this.#phones);
    this.#watch = watchDefinitions(nats, [IDENTIFIER_TYPE_KIND], { logger, replicas });
  }

  /** Resolves when what is defined by now is in force. @param onChange is told of each definition, those of now too */
  follow(onChange: (definition: ActiveDefinition) => void = () => {}): Promise<void> {
    return this.#watch.start((definition) => {
      const { id, deleted, body } = definition;
      if (deleted) this.#defined.delete(id);
      else this.#defined.set(id, { ...IdentifierType.decode(body), id });
      this.values = new IdentifierValues(new IdentifierTypes(this.#defined.values()), this.#phones);
      onChange(definition);
    });
  }

  stop(): void {
    this.#watch.stop();
  }
}
