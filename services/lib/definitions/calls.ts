import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument } from '#lib/rpc/errors.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { DefinitionStore, MessageCodec, Stored, WriteOptions } from './store.ts';
import { Turns } from './turns.ts';

export interface Defined {
  readonly id: string;
  readonly revision: number;
}

export interface DefinitionCallsOptions<T extends Defined> {
  readonly store: DefinitionStore<T>;
  readonly kind: string;
  readonly message: MessageCodec<T>;
  /** Name of the request's field that carries it, as callers know it. The kind when left out. */
  readonly field?: string;
  /** Fields only answers have, as they are stored: empty. */
  readonly output: Partial<T>;
  readonly answer?: (stored: Stored<T>) => T;
  /** Paths `update_mask` may name, with the field each stands for. Left out: there is no mask. */
  readonly maskable?: Readonly<Record<string, keyof T>>;
  /** Who uses it, as people call them: such a one is not deleted. */
  readonly users?: (id: string) => readonly string[];
  /** Shared by kinds that are checked against each other. */
  readonly turns?: Turns;
  /** Hears of each write before it is answered. */
  readonly learn?: (written: ActiveDefinition) => void | Promise<void>;
}

export interface UpdateOptions<T> {
  readonly mask?: readonly string[] | undefined;
  /** What stands for the definition as long as none is stored: an update without a revision then makes it. */
  readonly initial?: T | undefined;
  /** The last word on what is stored. @throws RpcError when what is there may not become this */
  readonly finish?: (next: T, now: T) => T;
}

/** Create, Get, List, Update and Delete of one kind, alike in every service. */
export class DefinitionCalls<T extends Defined> {
  readonly #options: DefinitionCallsOptions<T>;
  readonly #turns: Turns;

  constructor(options: DefinitionCallsOptions<T>) {
    this.#options = options;
    this.#turns = options.turns ?? new Turns();
  }

  create(given: T | undefined, requestId: string, call: Call): Promise<T> {
    const definition = this.#bare(required(this.#field, given));
    return this.#turns.run(async () =>
      this.#learned(await this.#options.store.create(definition.id, definition, writeOptions(requestId, call))),
    );
  }

  async get(id: string): Promise<T> {
    return this.#answer(await this.#options.store.get(id));
  }

  async list(pageSize: number, pageToken: string): Promise<{ items: T[]; nextPageToken: string }> {
    const { items, nextPageToken } = await this.#options.store.list(pageSize, pageToken);
    return { items: items.map((stored) => this.#answer(stored)), nextPageToken };
  }

  update(given: T | undefined, requestId: string, call: Call, how: UpdateOptions<T> = {}): Promise<T> {
    const { id, revision } = required(this.#field, given);
    const definition = this.#bare(given as T);
    const mask = how.mask ?? [];
    const copied = this.#masked(mask);
    const change = (now: T, nowAt: number): T => {
      const next = mask.length === 0 ? definition : { ...now };
      for (const field of copied) next[field] = definition[field];
      return this.#bare(how.finish?.(next, { ...now, revision: nowAt }) ?? next);
    };
    const asked = Buffer.concat([this.#options.message.encode(definition).finish(), Buffer.from(mask.join())]);
    return this.#turns.run(async () => {
      const options = { ...writeOptions(requestId, call, revision), initial: how.initial };
      return this.#learned(await this.#options.store.change(id, asked, change, options));
    });
  }

  delete(
    { id, revision, requestId }: { readonly id: string; readonly revision: number; readonly requestId: string },
    call: Call,
  ): Promise<Record<string, never>> {
    const { store, kind, users, learn } = this.#options;
    return this.#turns.run(async () => {
      const check = () => refuseWhenUsed(kind, id, users?.(id) ?? []);
      const gone = await store.delete(id, { ...writeOptions(requestId, call, revision), check });
      await learn?.({ kind, id, revision: gone.revision, deleted: true, body: new Uint8Array() });
      return {};
    });
  }

  get #field(): string {
    return this.#options.field ?? this.#options.kind;
  }

  #masked(mask: readonly string[]): (keyof T)[] {
    const { maskable = {} } = this.#options;
    return mask.map((path) => {
      const field = Object.hasOwn(maskable, path) ? maskable[path] : undefined;
      if (field !== undefined) return field;
      const names = Object.keys(maskable).join(', ');
      throw invalidArgument([{ field: 'update_mask', description: `"${path.slice(0, 50)}" must be one of ${names}` }]);
    });
  }

  /** As it is stored: what the store knows itself is left out. */
  #bare(definition: T): T {
    return { ...definition, ...this.#options.output };
  }

  #answer(stored: Stored<T>): T {
    const { id, definition, revision, updateTimeMs } = stored;
    return this.#options.answer?.(stored) ?? { ...definition, id, revision, updateTimeMs };
  }

  async #learned(stored: Stored<T>): Promise<T> {
    const { kind, message, learn } = this.#options;
    const { id, revision, definition } = stored;
    await learn?.({ kind, id, revision, deleted: false, body: message.encode(definition).finish() });
    return this.#answer(stored);
  }
}

export interface SettingsPlace<T> {
  readonly store: DefinitionStore<T>;
  readonly kind: string;
  readonly message: MessageCodec<T>;
  readonly id: string;
  /** In force until they are stored for the first time. */
  readonly initial: T;
  readonly learn?: (written: ActiveDefinition) => void;
  /** Adds what only answers have and is stored all the same. */
  readonly complete?: (settings: T) => T;
}

/** Update of a kind that has one definition, which is there from the start. */
export async function updateSettings<T extends { readonly revision: number }>(
  { store, kind, message, id, initial, learn, complete }: SettingsPlace<T>,
  settings: T | undefined,
  requestId: string,
  call: Call,
): Promise<T> {
  const given = required('settings', settings);
  const body = { ...given, revision: 0 };
  const options = { ...writeOptions(requestId, call, given.revision), initial };
  const next = () => complete?.(body) ?? body;
  const { definition, revision } = await store.change(id, message.encode(body).finish(), next, options);
  learn?.({ kind, id, revision, deleted: false, body: message.encode(definition).finish() });
  return { ...definition, revision };
}

export function writeOptions(requestId: string, call: Call, expectedRevision = 0): WriteOptions {
  return { requestId, expectedRevision, author: call.principal.name };
}

function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument([{ field, description: 'must be set' }]);
  return value;
}

const NAMED = 20;

export function refuseWhenUsed(kind: string, id: string, users: readonly string[]): void {
  if (users.length === 0) return;
  const what = `${kind.replaceAll('_', ' ')} "${id}"`;
  const named = users.slice(0, NAMED).join(', ');
  const more = users.length > NAMED ? ` and ${users.length - NAMED} more` : '';
  throw failedPrecondition(
    `${what[0]?.toUpperCase()}${what.slice(1)} is used by ${named}${more}: change or delete them first.`,
  );
}
