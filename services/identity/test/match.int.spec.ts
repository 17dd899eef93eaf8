import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { MatchServiceClient, MatchState } from '#gen/recur/identity/v1/match_service.ts';
import { Merged } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame, encodeFrame } from '#lib/stream/frames.ts';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

/** The built service as a process: needs `nx build identity`. */

const PARTITIONS = 3;
const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let service: SpawnedService;

const clientsOf = ({ grpcAddr }: SpawnedService) => ({
  identity: createClient(IdentityServiceClient, grpcAddr, { token: testSecrets().apiToken }),
  match: createClient(MatchServiceClient, grpcAddr, { token: testSecrets().apiToken }),
});
let api: ReturnType<typeof clientsOf>;

beforeAll(async () => {
  service = await spawnService('identity', {
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
    PARTITIONS: String(PARTITIONS),
  });
  nats = await connect({ servers: servers.nats.url });
  api = clientsOf(service);
});

afterAll(async () => {
  for (const client of Object.values(api ?? {})) client.close();
  await nats?.close();
  await service?.stop();
});

const hash = (text: string) => Buffer.from(text.padEnd(16, '.')).subarray(0, 16);
const blank = {
  customerId: '',
  kind: RecordKind.RECORD_KIND_EVENT,
  timeMs: 0,
  originSeq: 0,
  originIndex: 0,
  fromTimer: false,
};
let sent = 0;

/** Makes a customer with these identifiers ("type:value"); returns its id. */
async function customer(...identifiers: string[]): Promise<string> {
  const parts = identifiers.map((text) => text.split(':') as [string, string]);
  const event = Event.fromPartial({
    messageId: `m${++sent}`,
    source: 'import',
    timeMs: Date.now(),
    identifiers: parts.map(([type, value]) => ({ type, hash: hash(value) })),
  });
  const records = [{ ...blank, body: Buffer.from(Event.encode(event).finish()) }];
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
  await jetstream(nats).publish(subjects.ingest(0), frame);
  const [[type, value]] = parts as [[string, string]];
  return until(async () => {
    const key = { $case: 'hash' as const, value: hash(value) };
    const { results } = await api.identity.resolveIdentifiers({ identifiers: [{ type, key }] });
    return results[0]?.customerId || undefined;
  });
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((r) => setTimeout(r, 20));
  }
}

/** Reasons of the merges in the log, by who was merged. */
async function mergesInLog(): Promise<Map<string, string>> {
  const reasons = new Map<string, string>();
  const { jetstreamManager } = await import('@nats-io/jetstream');
  const jsm = await jetstreamManager(nats);
  for (let p = 0; p < PARTITIONS; p++) {
    for (let seq = 1; ; seq++) {
      const m = await jsm.direct
        .getMessage(STREAMS.log.name, { seq, next_by_subj: subjects.log(p, 'event') })
        .catch(() => null);
      if (!m) break;
      seq = m.seq;
      for (const r of decodeFrame(m.data).records) {
        if (r.kind === RecordKind.RECORD_KIND_MERGED) reasons.set(r.customerId, Merged.decode(r.body).reason);
      }
    }
  }
  return reasons;
}

const findings = [
  { field: 'given_name', level: 'one typing error', bits: 7.5 },
  { field: 'surname', level: 'same', bits: 9.25 },
  { field: 'suburb', level: 'different', bits: -3.5 },
];

async function propose(a: string, b: string, probability = 0.997) {
  const proposal = { customerId: a, otherCustomerId: b, probability, findings };
  const { matches } = await api.match.proposeMatches({ matches: [proposal], runId: 'test' });
  return matches[0]?.id as string;
}

describe('a match', () => {
  test('accepted, merges as every merge: in the log with its reason; and unmerge takes it back', async () => {
    const [a, b] = [await customer('phone:1', 'shop_account_tmall:a1'), await customer('phone:2')];
    const id = await propose(b, a);
    expect(await propose(a, b)).toBe(id);
    const { match: open } = await api.match.getMatch({ id });
    expect(open).toMatchObject({ state: MatchState.MATCH_STATE_OPEN, probability: 0.997, findings, decidedBy: '' });

    const { match } = await api.match.acceptMatch({ id });
    expect(match).toMatchObject({ state: MatchState.MATCH_STATE_ACCEPTED, mergedCustomerId: a });
    expect(match?.decidedBy).not.toBe('');
    const { identity } = await api.identity.getCustomerIdentity({ customerId: b });
    expect(identity?.customerId).toBe(a);
    expect(identity?.absorbedCustomerIds).toEqual([b]);
    expect((await mergesInLog()).get(b)).toBe('fuzzy 0.9970: surname same, given_name one typing error');

    await api.identity.unmerge({ customerId: b, reason: 'two people after all', requestId: 'u1' });
    const parted = await api.identity.getCustomerIdentity({ customerId: b });
    expect(parted.identity?.customerId).toBe(b);
    // A job that runs again does not merge them again.
    expect(await propose(a, b, 0.998)).toBe(id);
    await api.match.acceptMatch({ id });
    expect((await api.identity.getCustomerIdentity({ customerId: b })).identity?.customerId).toBe(b);
  });

  test('rejected, stays rejected when it is proposed again, until somebody accepts it', async () => {
    const [a, b] = [await customer('phone:3'), await customer('phone:4')];
    const id = await propose(a, b);
    const rejected = await api.match.rejectMatch({ id, reason: 'father and son' });
    expect(rejected.match).toMatchObject({ state: MatchState.MATCH_STATE_REJECTED, note: 'father and son' });
    await propose(a, b, 0.9999);
    const { match } = await api.match.getMatch({ id });
    expect(match).toMatchObject({ state: MatchState.MATCH_STATE_REJECTED, probability: 0.997 });
    expect((await api.match.acceptMatch({ id })).match?.state).toBe(MatchState.MATCH_STATE_ACCEPTED);
    await expect(api.match.rejectMatch({ id, reason: '' })).rejects.toThrow('Unmerge');
  });

  test('that a limit forbids is refused with the rule, nothing is merged, and it can be found', async () => {
    const [a, b] = [await customer('user_id:u1'), await customer('user_id:u2')];
    const id = await propose(a, b);
    const { match } = await api.match.acceptMatch({ id });
    expect(match?.state).toBe(MatchState.MATCH_STATE_REFUSED);
    expect(match?.note).toContain('exclusive');
    expect((await api.identity.getCustomerIdentity({ customerId: b })).identity?.customerId).toBe(b);
    const { matches } = await api.match.listMatches({ state: MatchState.MATCH_STATE_REFUSED, ...everything });
    expect(matches.map((m) => m.id)).toEqual([id]);
  });

  test('accepted by many at once is one merge', async () => {
    const [a, b] = [await customer('phone:5'), await customer('phone:6')];
    const id = await propose(a, b);
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.match.acceptMatch({ id })));
    expect(new Set(answers.map(({ match }) => match?.mergedCustomerId))).toEqual(new Set([a]));
  });
});

const everything = { minProbability: 0, customerId: '', pageSize: 0, pageToken: '' };

test('matches are listed likeliest first, page by page, and outlive the service and Redis', async () => {
  const first = await customer('phone:100');
  const ids: string[] = [];
  for (let i = 1; i <= 7; i++) ids.push(await propose(first, await customer(`phone:${100 + i}`), 0.3 + i / 20));
  const pages = async (client: typeof api.match, minProbability = 0) => {
    const listed: string[] = [];
    const request = {
      ...everything,
      state: MatchState.MATCH_STATE_UNSPECIFIED,
      customerId: first,
      minProbability,
      pageSize: 3,
    };
    let pageToken = '';
    let total = 0;
    do {
      const answer = await client.listMatches({ ...request, pageToken });
      listed.push(...answer.matches.map((m) => m.id));
      pageToken = answer.nextPageToken;
      total = answer.totalSize;
    } while (pageToken !== '');
    expect(total).toBe(listed.length);
    return listed;
  };
  expect(await pages(api.match)).toEqual([...ids].reverse());
  expect(await pages(api.match, 0.5)).toEqual(ids.slice(3).reverse());

  await service.kill9();
  await servers.redis.restart();
  await service.restart();
  const listed = await until(() => pages(api.match).catch(() => undefined));
  expect(listed).toEqual([...ids].reverse());
});

test('what is wrong is named', async () => {
  const a = await customer('phone:200');
  const matches = [
    { customerId: a, otherCustomerId: 'nobody', probability: 0.5, findings: [] },
    { customerId: a, otherCustomerId: a, probability: 1.5, findings: [{ field: 'name', level: '王小明', bits: 1 }] },
  ];
  const fields = async (call: Promise<unknown>) =>
    call.then(
      () => [],
      (error: { violations: { field: string }[] }) => error.violations.map((v) => v.field),
    );
  expect(await fields(api.match.proposeMatches({ matches: matches.slice(0, 1), runId: '' }))).toEqual([
    'matches[0].other_customer_id',
  ]);
  expect(await fields(api.match.proposeMatches({ matches: matches.slice(1), runId: 'a b' }))).toEqual([
    'run_id',
    'matches[0].other_customer_id',
    'matches[0].probability',
    'matches[0].findings[0].level',
  ]);
  expect(await fields(api.match.proposeMatches({ matches: [], runId: '' }))).toEqual(['matches']);
  expect(await fields(api.match.listMatches({ ...everything, state: 0, minProbability: 2 }))).toEqual([
    'min_probability',
  ]);
  expect(await fields(api.match.listMatches({ ...everything, state: 0, pageToken: 'xyz' }))).toEqual(['page_token']);
  expect(await fields(api.match.getMatch({ id: 'x' }))).toEqual(['id']);
  await expect(api.match.acceptMatch({ id: '0'.repeat(32) })).rejects.toThrow('There is no match');
});
