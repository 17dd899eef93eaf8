import { status } from '@grpc/grpc-js';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Journey, type JourneyVersion, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { DefinitionStore, type Stored } from '#lib/definitions/store.ts';
import { aborted, failedPrecondition, invalidArgument, RpcError } from '#lib/rpc/errors.ts';
import { DEFINITION_KIND } from '../core/compile.ts';
import { validateJourney } from '../core/definition/validate.ts';
import { deletionRefusal, markRequest, newJourney, presentJourney, repetition } from '../core/definition/versions.ts';

/** A write, so that its repetition can be told from another one. */
export interface Write {
  readonly requestId: string;
  /** Hash of what is asked for. */
  readonly fingerprint: string;
  readonly author: string;
}

/** Compare-and-set attempts when nobody said which revision is meant. */
const ATTEMPTS = 8;

/** Journeys in the definition store; every method answers with the journey as the API shows it. */
export class JourneyStore {
  readonly #definitions: DefinitionStore<StoredJourney>;

  private constructor(definitions: DefinitionStore<StoredJourney>) {
    this.#definitions = definitions;
  }

  static async open(nats: NatsConnection, replicas: number): Promise<JourneyStore> {
    const validate = ({ journey, versions }: StoredJourney) => {
      const { found } = validateJourney({ ...(journey as Journey), definition: versions.at(-1)?.definition });
      return found;
    };
    const kind = DEFINITION_KIND;
    return new JourneyStore(
      await DefinitionStore.open({ nats, kind, message: StoredJourney, validate, replicas, maxDefinitions: 1000 }),
    );
  }

  async create(journey: Journey, write: Write, now: number): Promise<Journey> {
    const stored = markRequest(newJourney(journey, now), write.requestId, write.fingerprint);
    try {
      return present(await this.#definitions.create(journey.id, stored, { author: write.author }));
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== status.ALREADY_EXISTS) throw error;
      const there = await this.#definitions.get(journey.id);
      if (isDone(there.definition, write)) return present(there);
      throw error;
    }
  }

  async get(id: string): Promise<Journey> {
    return present(await this.#definitions.get(id));
  }

  async list(pageSize: number, pageToken: string): Promise<{ journeys: Journey[]; nextPageToken: string }> {
    const { items, nextPageToken } = await this.#definitions.list(pageSize, pageToken);
    return { journeys: items.map(present), nextPageToken };
  }

  /** Newest first. */
  async versions(id: string): Promise<JourneyVersion[]> {
    return (await this.#definitions.get(id)).definition.versions.reverse();
  }

  /** Puts `change` of what is there in its place. `revision` 0: whatever is there. */
  async change(
    id: string,
    revision: number,
    write: Write,
    change: (stored: StoredJourney) => StoredJourney,
  ): Promise<Journey> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const there = await this.#definitions.get(id);
      if (isDone(there.definition, write)) return present(there);
      if (revision !== 0 && revision !== there.revision) {
        throw aborted(`journey "${id}" is at revision ${there.revision}, not ${revision}: read it again.`);
      }
      const next = markRequest(change(there.definition), write.requestId, write.fingerprint);
      const options = { expectedRevision: there.revision, author: write.author };
      try {
        return present(await this.#definitions.update(id, next, options));
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== status.ABORTED || revision !== 0) throw error;
      }
    }
    throw aborted(`journey "${id}" is being changed by many at once.`);
  }

  async delete(id: string, revision: number, { requestId, author }: Write): Promise<void> {
    const there = await this.#definitions.get(id).catch(ifMissing(undefined));
    const refusal = there && deletionRefusal(there.definition);
    if (refusal !== undefined) throw failedPrecondition(`journey "${id}": ${refusal}`);
    // Asked for even when it is gone: the store knows a repeated request from a missing journey.
    await this.#definitions.delete(id, { expectedRevision: revision, requestId, author });
  }
}

function present({ definition, revision }: Stored<StoredJourney>): Journey {
  return presentJourney(definition, revision);
}

function isDone(stored: StoredJourney, { requestId, fingerprint }: Write): boolean {
  const known = repetition(stored, requestId, fingerprint);
  if (known !== 'misused') return known === 'done';
  throw invalidArgument([{ field: 'request_id', description: 'was used for another change before: take a new one' }]);
}

function ifMissing<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof RpcError && error.code === status.NOT_FOUND) return otherwise;
    throw error;
  };
}
