import type { NatsConnection } from '@nats-io/transport-node';
import { type Journey, type JourneyVersion, type LiveRoomStart, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { DefinitionStore, type Stored } from '#lib/definitions/store.ts';
import { failedPrecondition } from '#lib/rpc/errors.ts';
import { DEFINITION_KIND } from '../core/compile.ts';
import { startLiveRoom } from '../core/definition/moves.ts';
import { validateJourney } from '../core/definition/validate.ts';
import { deletionRefusal, newJourney, presentJourney } from '../core/definition/versions.ts';

/** A write, so that its repetition can be told from another one. */
export interface Write {
  readonly requestId: string;
  /** What is asked for. */
  readonly asked: Uint8Array;
  readonly author: string;
}

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

  async create(journey: Journey, { asked, ...write }: Write, now: number): Promise<Journey> {
    return present(await this.#definitions.create(journey.id, newJourney(journey, now), { ...write, asked }));
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
    expectedRevision: number,
    { asked, ...write }: Write,
    change: (stored: StoredJourney) => StoredJourney,
  ): Promise<Journey> {
    return present(await this.#definitions.change(id, asked, change, { ...write, expectedRevision }));
  }

  /** @returns ids of the journeys a live room starts */
  async startLiveRoom(start: Omit<LiveRoomStart, 'number'>, write: Write): Promise<string[]> {
    const started: string[] = [];
    for (let pageToken = ''; ; ) {
      const page = await this.#definitions.list(0, pageToken);
      for (const { id, definition } of page.items) {
        if (startLiveRoom(definition, start) === undefined) continue;
        await this.change(id, 0, write, (stored) => startLiveRoom(stored, start) ?? stored);
        started.push(id);
      }
      pageToken = page.nextPageToken;
      if (pageToken === '') return started;
    }
  }

  async delete(id: string, expectedRevision: number, { requestId, author }: Write): Promise<void> {
    const check = ({ definition }: Stored<StoredJourney>) => {
      const refusal = deletionRefusal(definition);
      if (refusal !== undefined) throw failedPrecondition(`journey "${id}": ${refusal}`);
    };
    await this.#definitions.delete(id, { expectedRevision, requestId, author, check });
  }
}

function present({ definition, revision }: Stored<StoredJourney>): Journey {
  return presentJourney(definition, revision);
}
