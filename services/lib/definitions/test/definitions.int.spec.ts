import { status } from '@grpc/grpc-js';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Status } from '#gen/google/rpc/status.ts';
import type { RpcError } from '#lib/rpc/errors.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { DefinitionStore } from '../store.ts';
import { watchDefinitions } from '../watch.ts';

/** Any message will do; this one has a text and a number. */
const word = (message: string, code = 0): Status => Status.fromPartial({ message, code });

const servers = withServers({ nats: true });
let nats: NatsConnection;
let store: DefinitionStore<Status>;
let kind = '';
let kinds = 0;
let now = 1_700_000_000_000;

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
});
afterAll(async () => {
  await nats?.close();
});
beforeEach(async () => {
  kinds += 1;
  kind = `word${kinds}`;
  store = await open();
});

function open(maxDefinitions = 100): Promise<DefinitionStore<Status>> {
  return DefinitionStore.open({
    nats,
    kind,
    message: Status,
    maxDefinitions,
    validate: ({ message }) => (message === '' ? [{ field: 'word.message', description: 'must not be empty' }] : []),
    now: () => now,
  });
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it succeeded',
    (error: RpcError) => error.code ?? error,
  );

describe('one writer', () => {
  test('creates, reads, changes, deletes, creates again', async () => {
    const created = await store.create('hello', word('Hello'), { author: 'ann' });
    expect(created).toMatchObject({
      id: 'hello',
      createTimeMs: now,
      updateTimeMs: now,
      author: 'ann',
      definition: word('Hello'),
    });
    expect(await store.get('hello')).toEqual(created);
    now += 1000;
    const updated = await store.update('hello', word('Hallo'), { expectedRevision: created.revision });
    expect(updated.revision).toBeGreaterThan(created.revision);
    expect(updated).toMatchObject({ createTimeMs: now - 1000, updateTimeMs: now, definition: word('Hallo') });
    const deleted = await store.delete('hello', { expectedRevision: updated.revision });
    expect(deleted.definition).toBeUndefined();
    expect(await codeOf(store.get('hello'))).toBe(status.NOT_FOUND);
    expect(await codeOf(store.update('hello', word('x')))).toBe(status.NOT_FOUND);
    expect(await codeOf(store.delete('hello'))).toBe(status.NOT_FOUND);
    await store.create('hello', word('again'));
    const versions = await store.versions('hello');
    expect(versions.map(({ definition }) => definition?.message)).toEqual(['again', undefined, 'Hallo', 'Hello']);
    expect((await store.get('hello', created.revision)).definition).toEqual(word('Hello'));
  });

  test('refuses what exists, what nobody has, what another revision was meant for', async () => {
    const { revision } = await store.create('one', word('1'));
    expect(await codeOf(store.create('one', word('2')))).toBe(status.ALREADY_EXISTS);
    expect(await codeOf(store.get('two'))).toBe(status.NOT_FOUND);
    expect(await codeOf(store.versions('two'))).toBe(status.NOT_FOUND);
    expect(await codeOf(store.get('one', revision + 5))).toBe(status.NOT_FOUND);
    await store.create('other', word('3'));
    // A revision of the bucket that belongs to another definition.
    expect(await codeOf(store.get('one', revision + 1))).toBe(status.NOT_FOUND);
    await store.update('one', word('2'), { expectedRevision: revision });
    expect(await codeOf(store.update('one', word('x'), { expectedRevision: revision }))).toBe(status.ABORTED);
    expect(await codeOf(store.delete('one', { expectedRevision: revision }))).toBe(status.ABORTED);
    expect((await store.get('one')).definition.message).toBe('2');
  });

  test.each(['', 'Capital', '-first', 'a.b', 'a b', 'x'.repeat(64), '*', '>', '$KV', '__proto__'])(
    'refuses the id %j',
    async (id) => {
      for (const work of [
        store.create(id, word('x')),
        store.get(id),
        store.update(id, word('x')),
        store.delete(id),
        store.versions(id),
      ]) {
        expect(await codeOf(work)).toBe(status.INVALID_ARGUMENT);
      }
    },
  );

  test('tells which fields are wrong, all of them', async () => {
    const error = await store.create('Bad', word(''), { requestId: 'with space' }).catch((reason: RpcError) => reason);
    expect((error as RpcError).violations.map(({ field }) => field)).toEqual(['id', 'request_id', 'word.message']);
    expect((await store.list()).items).toEqual([]);
  });

  test('refuses what is too large, and too many', async () => {
    expect(await codeOf(store.create('large', word('x'.repeat(600_000))))).toBe(status.INVALID_ARGUMENT);
    const small = await open(2);
    await small.create('a', word('a'));
    await small.create('b', word('b'));
    expect(await codeOf(small.create('c', word('c')))).toBe(status.RESOURCE_EXHAUSTED);
    await small.update('a', word('still possible'));
  });

  test('keeps the last 16 revisions', async () => {
    await store.create('busy', word('0'));
    for (let number = 1; number <= 20; number++) await store.update('busy', word(String(number)));
    const versions = await store.versions('busy');
    expect(versions.map(({ definition }) => definition?.message)).toEqual(
      Array.from({ length: 16 }, (_, index) => String(20 - index)),
    );
  });

  test('lists by id, page by page, without the deleted ones', async () => {
    const ids = Array.from({ length: 25 }, (_, index) => `id-${String(index).padStart(2, '0')}`);
    await Promise.all(ids.map((id) => store.create(id, word(id))));
    await store.delete('id-03');
    await store.delete('id-24');
    const seen: string[] = [];
    let token = '';
    let pages = 0;
    do {
      const page = await store.list(10, token);
      seen.push(...page.items.map(({ id }) => id));
      token = page.nextPageToken;
      pages += 1;
    } while (token !== '');
    expect(seen).toEqual(ids.filter((id) => id !== 'id-03' && id !== 'id-24'));
    expect(pages).toBe(3);
    expect(await codeOf(store.list(10, '###'))).toBe(status.INVALID_ARGUMENT);
    expect(await codeOf(store.list(-1))).toBe(status.INVALID_ARGUMENT);
  });
});

describe('many writers', () => {
  test('of 20 that create the same id one succeeds', async () => {
    const stores = await Promise.all(Array.from({ length: 20 }, () => open()));
    const results = await Promise.all(stores.map((one, index) => codeOf(one.create('race', word(String(index))))));
    expect(results.filter((result) => result === 'it succeeded')).toHaveLength(1);
    expect(results.filter((result) => result === status.ALREADY_EXISTS)).toHaveLength(19);
    expect(await store.versions('race')).toHaveLength(1);
  });

  test('of 20 that change the same revision one succeeds', async () => {
    const { revision } = await store.create('race', word('start'));
    const change = (index: number) => codeOf(store.update('race', word(String(index)), { expectedRevision: revision }));
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => change(index)));
    expect(results.filter((result) => result === 'it succeeded')).toHaveLength(1);
    expect(results.filter((result) => result === status.ABORTED)).toHaveLength(19);
    expect(await store.versions('race')).toHaveLength(2);
  });

  test('20 that read, add one and write lose nothing', async () => {
    await store.create('sum', word('sum', 0));
    const add = async (): Promise<void> => {
      const { definition, revision } = await store.get('sum');
      const next = word('sum', definition.code + 1);
      const result = await codeOf(store.update('sum', next, { expectedRevision: revision }));
      if (result === status.ABORTED) return add();
      expect(result).toBe('it succeeded');
    };
    await Promise.all(Array.from({ length: 20 }, add));
    expect((await store.get('sum')).definition.code).toBe(20);
  });

  test('20 that do not care which revision they replace all succeed', async () => {
    await store.create('any', word('start'));
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => codeOf(store.update('any', word(String(i))))),
    );
    expect(results).toEqual(Array.from({ length: 20 }, () => 'it succeeded'));
  });
});

describe('request ids', () => {
  test('the same request gives the same result, whatever came between', async () => {
    const created = await store.create('r', word('1'), { requestId: 'create-1' });
    expect(await store.create('r', word('1'), { requestId: 'create-1' })).toEqual(created);
    const options = { requestId: 'update-1', expectedRevision: created.revision };
    const updated = await store.update('r', word('2'), options);
    expect(await store.update('r', word('2'), options)).toEqual(updated);
    const deleted = await store.delete('r', { requestId: 'delete-1' });
    expect(await store.delete('r', { requestId: 'delete-1' })).toEqual(deleted);
    expect(await store.create('r', word('1'), { requestId: 'create-1' })).toEqual(created);
    expect(await store.update('r', word('2'), options)).toEqual(updated);
    expect(await store.versions('r')).toHaveLength(3);
  });

  test('a repetition is not validated again', async () => {
    let good = true;
    const validate = () => (good ? [] : [{ field: 'word', description: 'is not good any more' }]);
    const moody = await DefinitionStore.open({ nats, kind, message: Status, validate });
    const created = await moody.create('r', word('1'), { requestId: 'once' });
    good = false;
    expect(await moody.create('r', word('1'), { requestId: 'once' })).toEqual(created);
    expect(await codeOf(moody.update('r', word('2'), { requestId: 'twice' }))).toBe(status.INVALID_ARGUMENT);
  });

  test('20 repetitions at once make one change', async () => {
    const { revision } = await store.create('r', word('1'));
    const repeat = () => store.update('r', word('2'), { requestId: 'same', expectedRevision: revision });
    const results = await Promise.all(Array.from({ length: 20 }, repeat));
    expect(new Set(results.map((result) => result.revision)).size).toBe(1);
    expect(await store.versions('r')).toHaveLength(2);
  });

  test('the same id for another change is a mistake', async () => {
    await store.create('r', word('1'), { requestId: 'once' });
    const error = await store.update('r', word('2'), { requestId: 'once' }).catch((reason: RpcError) => reason);
    expect((error as RpcError).violations[0]?.field).toBe('request_id');
    expect(await codeOf(store.create('r', word('2'), { requestId: 'once' }))).toBe(status.INVALID_ARGUMENT);
  });

  test('are remembered for 24 hours', async () => {
    await store.create('r', word('1'), { requestId: 'old' });
    now += 24 * 3_600_000 - 1;
    expect((await store.create('r', word('1'), { requestId: 'old' })).definition.message).toBe('1');
    now += 1;
    expect(await codeOf(store.create('r', word('1'), { requestId: 'old' }))).toBe(status.ALREADY_EXISTS);
  });

  test('and as long as their revision is kept', async () => {
    const { revision } = await store.create('r', word('0'), { requestId: 'first' });
    for (let number = 1; number <= 15; number++) await store.update('r', word(String(number)));
    expect((await store.create('r', word('0'), { requestId: 'first' })).revision).toBe(revision);
    await store.update('r', word('16'));
    expect(await codeOf(store.create('r', word('0'), { requestId: 'first' }))).toBe(status.ALREADY_EXISTS);
  });
});

describe('watch', () => {
  const collect = async (names: string[]) => {
    const seen: ActiveDefinition[] = [];
    const source = watchDefinitions(nats, names);
    await source.start((definition) => seen.push(definition));
    return { seen, source };
  };
  const brief = ({ kind: of, id, deleted, body }: ActiveDefinition) =>
    `${of}/${id} ${deleted ? 'deleted' : Status.decode(body).message}`;

  test('an empty kind starts at once, and tells what comes', async () => {
    const { seen, source } = await collect([`${kind}_none`]);
    expect(seen).toEqual([]);
    source.stop();
  });

  test('gives what is there, then every change, deletions included', async () => {
    await store.create('a', word('a1'));
    await store.create('b', word('b1'));
    await store.create('c', word('c1'));
    await store.update('a', word('a2'));
    await store.delete('b');
    const { seen, source } = await collect([kind, `${kind}_none`]);
    expect(seen.map(brief).sort()).toEqual([`${kind}/a a2`, `${kind}/b deleted`, `${kind}/c c1`]);
    expect(seen.find(({ id }) => id === 'a')?.body).toEqual(Buffer.from(Status.encode(word('a2')).finish()));
    seen.length = 0;
    const { revision } = await store.update('c', word('c2'));
    await store.delete('a');
    await expect.poll(() => seen.map(brief)).toEqual([`${kind}/c c2`, `${kind}/a deleted`]);
    expect(seen[0]?.revision).toBe(revision);
    source.stop();
    await store.create('d', word('d1'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(seen).toHaveLength(2);
  });

  test('bridges an outage of NATS', async () => {
    await store.create('a', word('a1'));
    const { seen, source } = await collect([kind]);
    await servers.nats.kill9();
    await servers.nats.restart();
    await expect.poll(() => codeOf(store.update('a', word('a2'))), { timeout: 10_000 }).toBe('it succeeded');
    await store.create('b', word('b1'));
    await expect
      .poll(() => new Set(seen.map(brief)), { timeout: 20_000 })
      .toEqual(new Set([`${kind}/a a1`, `${kind}/a a2`, `${kind}/b b1`]));
    const revisions = seen.map(({ revision }) => revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    source.stop();
  });
});
