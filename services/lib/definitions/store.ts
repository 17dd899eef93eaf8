import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { StoredDefinition } from '#gen/recur/definitions/v1/stored.ts';
import {
  aborted,
  alreadyExists,
  type FieldViolation,
  invalidArgument,
  notFound,
  RpcError,
  resourceExhausted,
  unavailable,
} from '#lib/rpc/errors.ts';
import { untilAnswered } from '#lib/stream/jetstream.ts';
import { MAX_VALUE_BYTES, openBucket } from './bucket.ts';
import { checkId, checkRequestId } from './ids.ts';
import { type Page, readPage } from './page.ts';
import { findMark, fingerprintOf, marksToKeep } from './request-marks.ts';

/** A message as ts-proto generates it. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface StoreOptions<T> {
  readonly nats: NatsConnection;
  /** Names the bucket, and the definition in errors and in the log: `segment`. */
  readonly kind: string;
  readonly message: MessageCodec<T>;
  /** What is wrong with it; an empty list when it may be stored. Field paths as the caller knows them. */
  readonly validate: (definition: T, id: string) => readonly FieldViolation[] | Promise<readonly FieldViolation[]>;
  readonly replicas?: number;
  /** Definitions there may be of this kind. 10,000 when left out. */
  readonly maxDefinitions?: number;
  /** Milliseconds since 1970; the system's clock when left out. */
  readonly now?: () => number;
}

export interface Stored<T> {
  readonly id: string;
  /** Grows with every change of anything of this kind. */
  readonly revision: number;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Who made this revision. */
  readonly author: string;
  readonly definition: T;
}

/** One of the revisions kept; `definition` is undefined where it was deleted. */
export type Version<T> = Omit<Stored<T>, 'definition'> & { readonly definition: T | undefined };

export interface WriteOptions {
  /** The same id again gives the same result instead of a second change. */
  readonly requestId?: string;
  /** The revision the caller has seen; 0 or nothing: whatever it is now. */
  readonly expectedRevision?: number;
  readonly author?: string;
  /** What a repetition is known by, where it is not the definition itself: that may hold the time, for one. */
  readonly asked?: Uint8Array;
}

interface Current {
  readonly revision: number;
  readonly stored: StoredDefinition;
}

export interface ChangeOptions<T> extends WriteOptions {
  /** Stands for the definition as long as none is stored: a change without an expected revision then makes it. */
  readonly initial?: T | undefined;
}

export interface DeleteOptions<T> extends WriteOptions {
  /** @throws RpcError when it must stay. Not asked for a repetition */
  readonly check?: (there: Stored<T>) => void;
}

interface Change {
  readonly action: 'create' | 'update' | 'delete';
  /** What a repetition is known by. */
  readonly asked: Uint8Array;
  readonly options: WriteOptions;
  /**
   * What to store in place of what is there now. Not asked for a repetition: what was right once gives its result.
   * @throws RpcError when the change is not possible, or its result wrong
   */
  next(current: Current | undefined): Promise<Uint8Array>;
}

/** Attempts of a write that does not care which revision it replaces. Each failed one means that another succeeded. */
const ATTEMPTS = 64;

/** Definitions of one kind, with compare-and-set writes, repeatable requests and the last 16 revisions of each. */
export class DefinitionStore<T> {
  readonly #options: StoreOptions<T>;
  readonly #bucket: KV;
  readonly #now: () => number;

  private constructor(options: StoreOptions<T>, bucket: KV) {
    this.#options = options;
    this.#bucket = bucket;
    this.#now = options.now ?? Date.now;
  }

  static async open<T>(options: StoreOptions<T>): Promise<DefinitionStore<T>> {
    const { nats, kind, replicas = 1 } = options;
    return new DefinitionStore(options, await untilAnswered(() => openBucket(nats, kind, replicas)));
  }

  /** ALREADY_EXISTS, INVALID_ARGUMENT, RESOURCE_EXHAUSTED when there are too many. */
  async create(id: string, definition: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const body = await this.#encode(id, definition, options);
    const next = async (current: Current | undefined) => {
      await this.#validate(id, definition);
      if (current !== undefined && !current.stored.deleted) throw alreadyExists(this.#label(id));
      return body;
    };
    // Revisions do not exist yet for the caller to have seen.
    const expected = { ...options, expectedRevision: 0 };
    return this.#live(
      id,
      await this.#write(id, { action: 'create', asked: options.asked ?? body, options: expected, next }),
    );
  }

  /** NOT_FOUND, ABORTED when it is not the expected revision any more, INVALID_ARGUMENT. */
  async update(id: string, definition: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const body = await this.#encode(id, definition, options);
    let valid = false;
    const next = async (current: Current | undefined) => {
      if (!valid) await this.#validate(id, definition);
      valid = true;
      this.#mustBe(id, current, options.expectedRevision ?? 0);
      return body;
    };
    return this.#live(id, await this.#write(id, { action: 'update', asked: options.asked ?? body, options, next }));
  }

  /**
   * Puts what `change` makes of the definition in force in its place; called again when somebody else was faster.
   * @param asked what the caller asked for: by it a repetition is known, whatever the definition has become meanwhile
   */
  async change(
    id: string,
    asked: Uint8Array,
    change: (now: T, revision: number) => T,
    options: ChangeOptions<T> = {},
  ): Promise<Stored<T>> {
    const { initial, expectedRevision = 0 } = options;
    refuse([...checkId(id), ...checkRequestId(options.requestId ?? '')]);
    const next = async (current: Current | undefined) => {
      const there = current !== undefined && !current.stored.deleted;
      if (there || initial === undefined) this.#mustBe(id, current, expectedRevision);
      else if (expectedRevision !== 0) throw this.#outdated(id, 0, expectedRevision);
      const now = there ? this.#live(id, current).definition : (initial as T);
      const changed = change(now, there ? current.revision : 0);
      const body = await this.#encode(id, changed, options);
      await this.#validate(id, changed);
      return body;
    };
    return this.#live(id, await this.#write(id, { action: 'update', asked, options, next }));
  }

  /** NOT_FOUND, ABORTED when it is not the expected revision any more. */
  async delete(id: string, options: DeleteOptions<T> = {}): Promise<Version<T>> {
    refuse([...checkId(id), ...checkRequestId(options.requestId ?? '')]);
    const next = async (current: Current | undefined) => {
      this.#mustBe(id, current, options.expectedRevision ?? 0);
      if (current !== undefined) options.check?.(this.#live(id, current));
      return new Uint8Array();
    };
    return this.#version(id, await this.#write(id, { action: 'delete', asked: new Uint8Array(), options, next }));
  }

  /** NOT_FOUND. @param revision one of those `versions` lists; the current one when left out or 0 */
  async get(id: string, revision = 0): Promise<Stored<T>> {
    refuse(checkId(id));
    const current = await this.#read(id, revision);
    if (current === undefined || current.stored.deleted) {
      throw notFound(revision === 0 ? this.#label(id) : `revision ${revision} of ${this.#label(id)}`);
    }
    return this.#live(id, current);
  }

  /** By id, ascending. Page sizes above 1,000 count as 1,000, 0 as 50. INVALID_ARGUMENT for a bad token. */
  async list(pageSize = 0, pageToken = ''): Promise<Page<Stored<T>>> {
    return reachable(async () =>
      readPage(await this.#ids(), pageSize, pageToken, async (id) => {
        const current = await this.#read(id);
        return current === undefined || current.stored.deleted ? undefined : this.#live(id, current);
      }),
    );
  }

  /** NOT_FOUND. The last 16 at most, newest first. */
  async versions(id: string): Promise<Version<T>[]> {
    refuse(checkId(id));
    const versions: Version<T>[] = [];
    await reachable(async () => {
      for await (const entry of await this.#bucket.history({ key: id })) {
        const current = currentOf(entry);
        if (current !== undefined) versions.push(this.#version(id, current));
      }
    });
    if (versions.length === 0) throw notFound(this.#label(id));
    return versions.sort((a, b) => b.revision - a.revision);
  }

  async #encode(id: string, definition: T, { requestId = '' }: WriteOptions): Promise<Uint8Array> {
    const names = [...checkId(id), ...checkRequestId(requestId)];
    // Whoever has to correct something hears of everything at once.
    if (names.length > 0) refuse([...names, ...(await this.#options.validate(definition, id))]);
    const body = this.#options.message.encode(definition).finish();
    const limit = MAX_VALUE_BYTES - 4096; // the store's own notes
    if (body.length > limit)
      refuse([{ field: this.#options.kind, description: `must be at most ${limit} bytes, it has ${body.length}` }]);
    return body;
  }

  async #validate(id: string, definition: T): Promise<void> {
    refuse(await this.#options.validate(definition, id));
  }

  /** Reads, checks and writes, until nobody else was faster. */
  async #write(id: string, change: Change): Promise<Current> {
    const { requestId = '', expectedRevision = 0 } = change.options;
    const fingerprint = fingerprintOf(change.action, expectedRevision, change.asked);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await this.#read(id);
      const repeated = current && findMark(current.stored, current.revision, requestId, this.#now());
      if (repeated !== undefined) return this.#repeat(id, repeated, fingerprint);
      const body = await change.next(current);
      if (current === undefined) await this.#checkCount();
      const stored = this.#next(current, change, body, fingerprint);
      const revision = await this.#put(id, stored, current?.revision ?? 0);
      if (revision !== undefined) return { revision, stored };
    }
    throw aborted(`${this.#label(id)} is being changed by many at once.`);
  }

  async #repeat(
    id: string,
    mark: { fingerprint: Uint8Array; revision: number },
    fingerprint: Buffer,
  ): Promise<Current> {
    if (!fingerprint.equals(mark.fingerprint)) {
      refuse([{ field: 'request_id', description: 'was used for another change before: take a new one' }]);
    }
    const made = await this.#read(id, mark.revision);
    if (made === undefined) throw aborted(`${this.#label(id)} was changed so often that the result is gone.`);
    return made;
  }

  #next(current: Current | undefined, change: Change, body: Uint8Array, fingerprint: Buffer): StoredDefinition {
    const timeMs = this.#now();
    const { requestId = '', author = '' } = change.options;
    return {
      body: Buffer.from(body),
      deleted: change.action === 'delete',
      createTimeMs: current === undefined || current.stored.deleted ? timeMs : current.stored.createTimeMs,
      updateTimeMs: timeMs,
      author,
      request: { requestId, fingerprint, timeMs, revision: 0 },
      earlier: current === undefined ? [] : marksToKeep(current.stored, current.revision, timeMs),
    };
  }

  #mustBe(id: string, current: Current | undefined, expected: number): void {
    if (current === undefined || current.stored.deleted) throw notFound(this.#label(id));
    if (expected !== 0 && expected !== current.revision) throw this.#outdated(id, current.revision, expected);
  }

  #outdated(id: string, revision: number, expected: number): RpcError {
    return aborted(`${this.#label(id)} is at revision ${revision}, not ${expected}: read it again.`);
  }

  /** The new revision; undefined when somebody else was faster. */
  async #put(id: string, stored: StoredDefinition, previousSeq: number): Promise<number | undefined> {
    const bytes = StoredDefinition.encode(stored).finish();
    return reachable(async () => {
      try {
        return await this.#bucket.put(id, bytes, { previousSeq });
      } catch (error) {
        if (isConflict(error)) return undefined;
        throw error;
      }
    });
  }

  async #read(id: string, revision = 0): Promise<Current | undefined> {
    const entry = await reachable(() => this.#bucket.get(id, revision > 0 ? { revision } : undefined));
    return entry === null ? undefined : currentOf(entry);
  }

  async #ids(): Promise<string[]> {
    const ids: string[] = [];
    for await (const id of await this.#bucket.keys()) ids.push(id);
    return ids.sort();
  }

  async #checkCount(): Promise<void> {
    const limit = this.#options.maxDefinitions ?? 10_000;
    const { streamInfo } = await reachable(() => this.#bucket.status());
    // Deleted ones count too: their ids are remembered.
    if ((streamInfo.state.num_subjects ?? 0) >= limit) {
      throw resourceExhausted(undefined, `There can be ${limit} definitions of the kind ${this.#options.kind}.`);
    }
  }

  #live(id: string, current: Current): Stored<T> {
    return { ...this.#version(id, current), definition: this.#options.message.decode(current.stored.body) };
  }

  #version(id: string, { revision, stored }: Current): Version<T> {
    const { createTimeMs, updateTimeMs, author } = stored;
    const definition = stored.deleted ? undefined : this.#options.message.decode(stored.body);
    return { id, revision, createTimeMs, updateTimeMs, author, definition };
  }

  #label(id: string): string {
    return `${this.#options.kind} "${id}"`;
  }
}

function currentOf(entry: KvEntry): Current | undefined {
  // Markers of the KV itself are only there when somebody removed a key by hand.
  if (entry.operation !== 'PUT') return undefined;
  return { revision: entry.revision, stored: StoredDefinition.decode(entry.value) };
}

function refuse(violations: readonly FieldViolation[]): void {
  if (violations.length > 0) throw invalidArgument(violations);
}

function isConflict(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

async function reachable<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcError) throw error;
    throw unavailable('The definition store cannot be reached.', { cause: error, retryAfterMs: 1000 });
  }
}
