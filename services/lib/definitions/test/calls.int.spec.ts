// Every kind of definitions of every service, over gRPC, on real NATS and Redis: all calls behave alike.
import { status } from '@grpc/grpc-js';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperimentServiceClient } from '#gen/recur/analytics/v1/experiment_service.ts';
import { MetricServiceClient } from '#gen/recur/analytics/v1/metric_service.ts';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { MessagingServiceClient } from '#gen/recur/messaging/v1/messaging_service.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import type { RpcError } from '#lib/rpc/errors.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { DefinitionStore } from '../store.ts';
import { type Definition, KINDS, type Kind, SETTINGS } from './definition-kinds.ts';

const CLIENTS = {
  identity: IdentityServiceClient,
  profile: ProfileDefinitionServiceClient,
  segmentation: SegmentationServiceClient,
  journey: JourneyServiceClient,
  messaging: MessagingServiceClient,
  analytics: MetricServiceClient,
} as const;
/** As many as revisions are kept. */
const WRITERS = 16;

type Answer = Record<string, unknown>;
type Client = Record<string, (request: object) => Promise<Answer>>;

const servers = withServers({ nats: true, redis: true, mailbox: true });
const clients = new Map<string, Client>();
let nats: NatsConnection;
let services: SpawnedService[] = [];

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
  const env = {
    ...{ NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: '1' },
    SMTP_URL: servers.mailbox.url,
  };
  services = await Promise.all(Object.keys(CLIENTS).map((name) => spawnService(name, env)));
  const options = { token: testSecrets().apiToken, deadlineMs: 60_000 };
  for (const { name, grpcAddr } of services) {
    const client = CLIENTS[name as keyof typeof CLIENTS] as typeof SegmentationServiceClient;
    clients.set(name, createClient(client, grpcAddr, options) as unknown as Client);
    if (name !== 'analytics') continue;
    clients.set('experiments', createClient(ExperimentServiceClient, grpcAddr, options) as unknown as Client);
  }
}, 120_000);
afterAll(async () => {
  // A client's close is not a call: it has no promise.
  for (const client of clients.values()) void client.close?.({});
  await nats?.close();
  await Promise.all(services.map((service) => service.stop()));
});

/** The calls of one kind. */
class Calls {
  readonly kind: Kind;
  readonly #client: Client;

  constructor(kind: Kind) {
    this.kind = kind;
    this.#client = clients.get(kind.service) as Client;
  }

  create = (definition: Definition, requestId = '') => this.#write('create', definition, requestId);
  update = (definition: Definition, requestId = '') => this.#write('update', definition, requestId);
  get = async (id: string) => (await this.#call('get', { id }))[this.kind.field] as Definition;
  delete = (id: string, revision = 0, requestId = '') => this.#call('delete', { id, revision, requestId });

  async list(pageSize: number, pageToken: string): Promise<{ items: Definition[]; nextPageToken: string }> {
    const answer = await this.#client[`list${this.kind.method}s`]?.({ pageSize, pageToken });
    return { items: answer?.[this.kind.list] as Definition[], nextPageToken: answer?.nextPageToken as string };
  }

  /** Without the definition itself. */
  empty = (call: 'create' | 'update') => this.#call(call, { requestId: '' });

  async #write(call: string, definition: Definition, requestId: string): Promise<Definition> {
    return (await this.#call(call, { [this.kind.field]: definition, requestId }))[this.kind.field] as Definition;
  }

  #call(call: string, request: object): Promise<Answer> {
    return (this.#client[`${call}${this.kind.method}`] as Client[string])(request);
  }
}

async function refusal(work: Promise<unknown>): Promise<RpcError> {
  return work.then(
    () => expect.fail('it was not refused'),
    (error: RpcError) => error,
  );
}
const codeOf = async (work: Promise<unknown>): Promise<number> => (await refusal(work)).code;

/** What the store keeps of it, oldest first: the text of each version, undefined where it was deleted. */
async function versionsOf({ kind, message, textOf }: Kind, id: string): Promise<(string | undefined)[]> {
  const store = await DefinitionStore.open({ nats, kind, message, validate: () => [] });
  return (await store.versions(id)).map(({ definition }) => definition && textOf(definition)).reverse();
}

const withText = (kind: Kind, definition: Definition, text: string): Definition => ({
  ...kind.make(definition.id, text),
  revision: definition.revision,
});

describe.each(KINDS.map((kind, i) => ({ name: `${kind.kind} ${i}`, kind, i })))('$name', ({ kind, i }) => {
  const made = (name: string, text: string) => kind.make(`${name}-${i}`, text);

  test('is created, read, listed by pages, changed, deleted', async () => {
    const calls = new Calls(kind);
    const all = ['one', 'two', 'three'].map((name) => made(name, `The ${name}`));
    for (const one of all) {
      const created = await calls.create(one);
      expect([created.id, kind.textOf(created as never)]).toEqual([one.id, kind.textOf(one as never)]);
      expect(created.revision).toBeGreaterThan(0);
      expect(await calls.get(one.id)).toEqual(created);
      expect(await codeOf(calls.create(one))).toBe(status.ALREADY_EXISTS);
    }
    const listed: string[] = [];
    for (let token = ''; ; ) {
      const { items, nextPageToken } = await calls.list(2, token);
      listed.push(...items.filter(({ revision }) => revision > 0).map(({ id }) => id));
      token = nextPageToken;
      if (token === '') break;
    }
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed).toEqual(expect.arrayContaining(all.map(({ id }) => id)));
    expect(listed).toEqual(listed.toSorted());
    expect(await codeOf(calls.list(2, '***'))).toBe(status.INVALID_ARGUMENT);

    const id = all[0]?.id as string;
    const before = await calls.get(id);
    const updated = await calls.update(withText(kind, before, 'Changed'));
    expect(updated.revision).toBeGreaterThan(before.revision);
    expect(kind.textOf((await calls.get(id)) as never)).toBe('Changed');
    await calls.delete(id, updated.revision);
    expect(await codeOf(calls.get(id))).toBe(status.NOT_FOUND);
    expect(await codeOf(calls.delete(id))).toBe(status.NOT_FOUND);
    expect(await codeOf(calls.update({ ...updated, revision: 0 }))).toBe(status.NOT_FOUND);
    expect(await versionsOf(kind, id)).toEqual(['The one', 'Changed', undefined]);
  });

  test('a request repeated is done once and answered alike, whatever came in between', async () => {
    const calls = new Calls(kind);
    const one = made('again', 'First');
    const created = await calls.create(one, 'c-1');
    expect(await calls.create(one, 'c-1')).toEqual(created);
    const second = withText(kind, created, 'Second');
    const updated = await calls.update(second, 'u-1');
    await calls.update(withText(kind, updated, 'Third'));
    expect(await calls.update(second, 'u-1')).toEqual(updated);
    expect(await calls.create(one, 'c-1')).toEqual(created);
    const misused = await refusal(calls.update(withText(kind, created, 'Else'), 'u-1'));
    expect(misused.code).toBe(status.INVALID_ARGUMENT);
    expect(misused.violations.map(({ field }) => field)).toEqual(['request_id']);
    await calls.delete(one.id, 0, 'd-1');
    await calls.delete(one.id, 0, 'd-1');
    expect(await versionsOf(kind, one.id)).toEqual(['First', 'Second', 'Third', undefined]);
  });

  test('a revision somebody else has replaced changes nothing', async () => {
    const calls = new Calls(kind);
    const created = await calls.create(made('stale', 'Mine'));
    const theirs = await calls.update(withText(kind, created, 'Theirs'));
    expect(await codeOf(calls.update(withText(kind, created, 'Mine again')))).toBe(status.ABORTED);
    expect(await codeOf(calls.delete(created.id, created.revision))).toBe(status.ABORTED);
    expect(await calls.get(created.id)).toEqual(theirs);
  });

  test('of many who write at once one wins each revision, and no version is missing', async () => {
    const calls = new Calls(kind);
    const one = made('contended', 'Begin');
    const everybody = <R>(write: (n: number) => Promise<R>) =>
      Promise.allSettled(Array.from({ length: WRITERS }, (_, n) => write(n)));
    const created = await everybody(() => calls.create(one));
    expect(created.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    const codes = created.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []));
    expect(new Set(codes)).toEqual(new Set([status.ALREADY_EXISTS]));

    const current = await calls.get(one.id);
    const race = await everybody((n) => calls.update(withText(kind, current, `Racer ${n}`)));
    const winners = race.flatMap((result, n) => (result.status === 'fulfilled' ? [`Racer ${n}`] : []));
    expect(winners).toHaveLength(1);
    expect(await versionsOf(kind, one.id)).toEqual(['Begin', ...winners]);

    const patient = await everybody(async (n) => {
      for (;;) {
        const now = await calls.get(one.id);
        const done = await calls.update(withText(kind, now, `Writer ${n}`)).catch((error: RpcError) => error.code);
        if (done !== status.ABORTED) return done;
      }
    });
    expect(patient.map((result) => result.status)).toEqual(Array(WRITERS).fill('fulfilled'));
    const versions = await versionsOf(kind, one.id);
    expect(versions.toSorted()).toEqual(Array.from({ length: WRITERS }, (_, n) => `Writer ${n}`).toSorted());

    // Whoever names no revision means whatever is there: all of them succeed.
    const careless = [1, 2, 3, 4].map((n) => ({ ...kind.make(one.id, `Careless ${n}`), revision: 0 }));
    await Promise.all(careless.map((definition) => calls.update(definition)));
    const last = (await versionsOf(kind, one.id)).slice(-careless.length);
    expect(last.toSorted()).toEqual(['Careless 1', 'Careless 2', 'Careless 3', 'Careless 4']);
  }, 180_000);

  test('what is wrong is refused by name, and changes nothing', async () => {
    const calls = new Calls(kind);
    const [change, field] = kind.bad;
    const good = await calls.create(made('good', 'Good'));
    const worse = (one: Definition) => (kind.api ?? kind.message).fromPartial({ ...one, ...change }) as Definition;
    const bad = worse(made('bad', 'Bad'));
    for (const work of [() => calls.create(bad), () => calls.update(worse(good))]) {
      const refused = await refusal(work());
      expect(refused.code).toBe(status.INVALID_ARGUMENT);
      expect(refused.violations.map((violation) => violation.field)).toContain(field);
    }
    for (const call of ['create', 'update'] as const) {
      expect((await refusal(calls.empty(call))).violations[0]?.field).toBe(snake(kind.field));
    }
    const named = await refusal(calls.create({ ...made('x', 'x'), id: 'No Good' }));
    expect(named.code).toBe(status.INVALID_ARGUMENT);
    expect(named.violations.some((violation) => /(^|\.)id$/.test(violation.field))).toBe(true);
    const request = await refusal(calls.create(made('spaced', 'x'), 'with space'));
    expect(request.violations.map((violation) => violation.field)).toEqual(['request_id']);
    expect(await calls.get(good.id)).toEqual(good);
    expect(await codeOf(calls.get(bad.id))).toBe(status.NOT_FOUND);
  });

  if (kind.user === undefined) return;
  const [userKind, makeUser, userName] = kind.user;
  test('what others use is not deleted, and they are named', async () => {
    const calls = new Calls(kind);
    const userCalls = new Calls(KINDS.find((one) => one.kind === userKind) as Kind);
    const used = await calls.create(made('used', 'Used'));
    const user = await created(userCalls, makeUser('its-user', used.id));
    const refused = await eventually(
      () => refusal(calls.delete(used.id)),
      (error) => error.code === status.FAILED_PRECONDITION,
    );
    expect(refused.message).toContain(userName);
    expect(await calls.get(used.id)).toEqual(used);
    await userCalls.delete(user.id);
    await eventually(
      () =>
        calls.delete(used.id, 0, 'gone').then(
          () => 0,
          (error: RpcError) => error.code,
        ),
      (code) => code === 0,
    );
  });
});

/** Another service may not have heard yet of what it refers to. */
async function created(calls: Calls, definition: Definition): Promise<Definition> {
  const made = () =>
    calls
      .create(definition)
      .catch((error: RpcError) => (error.code === status.ALREADY_EXISTS ? calls.get(definition.id) : undefined));
  return (await eventually(made, (one) => one !== undefined)) as Definition;
}

async function eventually<R>(look: () => Promise<R>, good: (found: R) => boolean): Promise<R> {
  for (const until = Date.now() + 20_000; ; ) {
    const found = await look().catch((error: Error) => error as never);
    if (good(found)) return found;
    if (Date.now() > until) expect.fail(`it did not come to be; last: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

describe.each(SETTINGS)('$kind settings', ({ kind, message, service, method, bad, change: changed }) => {
  const change = (n: number) => message.fromPartial(changed(n));
  type Settings = { revision: number };
  const get = async () => (await clients.get(service)?.[`get${method}`]?.({}))?.settings as Settings;
  const update = async (settings: object, requestId = '') =>
    (await clients.get(service)?.[`update${method}`]?.({ settings, requestId }))?.settings as Settings;
  const revisions = async () => {
    const store = await DefinitionStore.open({ nats, kind, message, validate: () => [] });
    return (await store.versions('default')).length;
  };

  test('are there from the start, changed once a request, by one of many at a revision', async () => {
    expect((await get()).revision).toBe(0);
    const first = await Promise.all(Array.from({ length: WRITERS - 2 }, (_, n) => update(change(n))));
    expect(new Set(first.map(({ revision }) => revision)).size).toBe(WRITERS - 2);
    const seen = Math.max(...first.map(({ revision }) => revision));
    const asked = { ...change(50), revision: seen };
    const once = await update(asked, 's-1');
    expect(once).toEqual({ ...once, ...changed(50) });
    expect(await update(asked, 's-1')).toEqual(once);
    expect(await revisions()).toBe(WRITERS - 1);
    expect(await get()).toEqual(once);
    const race = await Promise.allSettled(
      Array.from({ length: WRITERS }, (_, n) => update({ ...change(n), revision: once.revision })),
    );
    expect(race.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(race.every((result) => result.status === 'fulfilled' || result.reason.code === status.ABORTED)).toBe(true);
    expect(await revisions()).toBe(WRITERS);
    const after = await get();
    const refused = await refusal(update(message.fromPartial({ ...change(1), ...bad[0], revision: after.revision })));
    expect(refused.code).toBe(status.INVALID_ARGUMENT);
    expect(refused.violations.map(({ field }) => field)).toContain(bad[1]);
    expect((await refusal(update(undefined as unknown as object))).violations[0]?.field).toBe('settings');
    expect(await get()).toEqual(after);
  });
});
