import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Journey, JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import { JourneyServiceClient, JourneyServiceService } from '#gen/recur/journey/v1/service.ts';
import { Exposure, Merged, SegmentChange, SendRequest, Step, StepAction } from '#gen/recur/log/v1/changes.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import { RpcServer } from '#lib/rpc/server.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { ApiTokens } from '#lib/rpc/tokens.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import { StateReader } from '#lib/stream/state-reader.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { peekEventName } from '../src/core/event/peek.ts';
import { stateCodec } from '../src/core/state.ts';
import { journeyStage } from '../src/processor.ts';
import { RequestWriter } from '../src/requests/request-writer.ts';
import { Requests } from '../src/requests/requests.ts';
import { Explanations } from '../src/rpc/explain.ts';
import { JourneyHandlers } from '../src/rpc/journeys.ts';
import { JourneyStore } from '../src/store/journey-store.ts';
import { TemplateChannels } from '../src/store/template-channels.ts';
import { encodeEvent, ZONE } from './scenario.ts';

const PARTITIONS = 2;
const servers = withServers({ nats: true, redis: true });
const logger = pino({ level: process.env.LOG ?? 'silent' });
const tokens = new ApiTokens([{ token: 'all', name: 'admin', scopes: ['*'] }]);

let nats: NatsConnection;
let redis: Redis;
let profile: RunningStage;
let segmentation: RunningStage;
let journeys: RunningStage;
let templates: DefinitionStore<Template>;
let server: RpcServer;
let client: RpcClient<typeof JourneyServiceService>;

const options = (replicaId: string) => ({
  nats,
  redis,
  partitions: PARTITIONS,
  clock: 'live' as const,
  replicaId,
  logger,
  registry: new Registry(),
});
const startJourneys = (replicaId: string) =>
  startStage(journeyStage(ZONE), { ...options(replicaId), definitions: watchDefinitions(nats, ['journey']) });

/** Stands upstream as segmentation does: whoever orders enters "buyers", once. */
const buyers: StageSpec<Buffer> = {
  stage: 'segmentation',
  codec: { encode: (state) => state, decode: (bytes) => Buffer.from(bytes) },
  processor: {
    process(state, { kind, body }, _ctx, out) {
      if (state || kind !== RecordKind.RECORD_KIND_EVENT || peekEventName(body) !== 'Order Completed') return undefined;
      const change = { segmentId: 'buyers', revision: 1, entered: true };
      out.emit(RecordKind.RECORD_KIND_SEGMENT, SegmentChange.encode({ ...change, restored: false }).finish());
      return Buffer.from([1]);
    },
  },
};

/** What segmentation waits for. */
const silent: StageSpec<Buffer> = {
  stage: 'profile',
  codec: buyers.codec,
  processor: { process: () => undefined },
};

beforeAll(async () => {
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
  const manager = await jetstreamManager(nats);
  for (const { name, subjects: taken } of [STREAMS.log, STREAMS.deadLetters]) {
    await manager.streams.add({ name, subjects: [...taken], allow_direct: true });
  }
  const store = await JourneyStore.open(nats, 1);
  templates = await DefinitionStore.open({ nats, kind: 'template', message: Template, validate: () => [] });
  for (const id of ['t', 'welcome_a', 'welcome_b', 'welcome_reminder']) await createTemplate(id, 'email');
  const handlers = new JourneyHandlers(
    store,
    new StateReader('journey', stateCodec, redis, PARTITIONS),
    new Requests({
      journey: (id) => store.get(id),
      writer: new RequestWriter(nats),
      liveRoom: (start, write) => store.startLiveRoom(start, write),
      clock: 'live',
      now: Date.now,
      identity: undefined,
      segmentation: undefined,
    }),
    new Explanations(undefined),
    await TemplateChannels.open(nats, 1),
  );
  const services = [rpcService(JourneyServiceService, handlers)];
  const host = '127.0.0.1';
  server = new RpcServer({ services, tokens, logger, registry: new Registry(), host, port: 0, reflection: false });
  client = createClient(JourneyServiceClient, `${host}:${await server.start()}`, { token: 'all' });
  profile = await startStage(silent, options('p'));
  segmentation = await startStage(buyers, options('s'));
  journeys = await startJourneys('j1');
});

const createTemplate = (id: string, channel: string) =>
  templates.create(id, Template.fromPartial({ id, name: id, channel }));

afterAll(async () => {
  client?.close();
  await server?.stop(500);
  await journeys?.stop();
  await segmentation?.stop();
  await profile?.stop();
  redis?.disconnect();
  await nats?.close();
});

async function write(customerId: string, kind: RecordKind, body: Uint8Array): Promise<void> {
  const record = { customerId, kind, timeMs: Date.now(), body: Buffer.from(body) };
  const frame = Frame.encode(Frame.fromPartial({ records: [record] })).finish();
  await jetstream(nats).publish(subjects.log(partitionOf(customerId, PARTITIONS), 'event'), frame);
}
const happens = (customerId: string, event: string) =>
  write(customerId, RecordKind.RECORD_KIND_EVENT, encodeEvent({ event }, Date.now()));

interface Told {
  customerId: string;
  timeMs: number;
  step?: Step;
  exposure?: Exposure;
  send?: SendRequest;
}

/** What the stage wrote into the log about customers whose ids begin so. */
async function told(prefix: string): Promise<Told[]> {
  const manager = await jetstreamManager(nats);
  const { last_seq } = (await manager.streams.info(STREAMS.log.name)).state;
  const found: Told[] = [];
  for (let seq = 1; seq <= last_seq; seq++) {
    const message = await manager.streams.getMessage(STREAMS.log.name, { seq });
    if (!message?.subject.endsWith('.step')) continue;
    for (const { customerId, kind, timeMs, body } of Frame.decode(message.data).records) {
      if (!customerId.startsWith(prefix)) continue;
      if (kind === RecordKind.RECORD_KIND_STEP) found.push({ customerId, timeMs, step: Step.decode(body) });
      if (kind === RecordKind.RECORD_KIND_SEND) found.push({ customerId, timeMs, send: SendRequest.decode(body) });
      if (kind === RecordKind.RECORD_KIND_EXPOSURE) found.push({ customerId, timeMs, exposure: Exposure.decode(body) });
    }
  }
  return found;
}
const line = ({ step, send, exposure }: Told): string => {
  if (send) return `SEND ${send.nodeId}`;
  if (exposure) return `EXPOSURE ${exposure.variant}`;
  const name = Object.entries(StepAction).find(([, value]) => value === step?.action)?.[0];
  return `${name?.replace('STEP_ACTION_', '')} ${step?.nodeId}${step?.reason && ` (${step.reason})`}`;
};
const linesOf = async (customerId: string) => (await told(customerId)).map(line);
const eventually = (check: () => Promise<void>) =>
  expect.poll(async () => check().then(() => 'ok', String), { timeout: 15_000 }).toBe('ok');

async function journeyOf(text: string): Promise<Journey> {
  const { journey, violations } = await client.validateJourney({ form: { $case: 'text', value: text } });
  expect(violations).toEqual([]);
  return journey!;
}
async function launch(text: string): Promise<Journey> {
  const journey = await journeyOf(text);
  await client.createJourney({ journey, requestId: '' });
  return (await client.startJourney({ id: journey.id, requestId: '' })).journey!;
}
const refused = async (call: Promise<unknown>): Promise<RpcError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
};

const simple = (id: string, wait = 'PT1S') => `
id: ${id}
definition:
  trigger: { event: { name: Enter ${id} } }
  reentry: { rule: always }
  start: w
  nodes:
    - { id: w, wait: { duration: ${wait}, next: b } }
    - { id: b, branch: { ways: [{ id: bought, conditions: [{ in_segment: buyers }], next: end }], otherwise: m } }
    - { id: m, message: { channel: email, template_id: t, purpose: marketing, next: end } }
    - { id: end, exit: {} }
`;

test('templates are there, for their channel, before a journey is stored or started; a webhook goes the way of a send', async () => {
  const text = simple('told').replace(
    '- { id: end, exit: {} }',
    '- { id: end, webhook: { template_id: ticket, next: out } }\n    - { id: out, exit: {} }',
  );
  const at = 'definition.nodes[3].webhook.template_id';
  const missing = await client.validateJourney({ form: { $case: 'text', value: text } });
  expect(missing.violations).toEqual([{ field: at, description: 'there is no template "ticket": create it first' }]);
  const journey = missing.journey!;
  const refusal = await refused(client.createJourney({ journey, requestId: '' }));
  expect([refusal.code, refusal.violations]).toEqual([
    status.INVALID_ARGUMENT,
    [{ field: `journey.${at}`, description: 'there is no template "ticket": create it first' }],
  ]);
  await createTemplate('ticket', 'email');
  const wrong = await client.validateJourney({ form: { $case: 'journey', value: journey } });
  expect(wrong.violations.map((v) => v.description)).toEqual(['"ticket" is a template for email, not webhook']);
  await templates.update('ticket', Template.fromPartial({ id: 'ticket', name: 'ticket', channel: 'webhook' }));
  await client.createJourney({ journey, requestId: '' });
  await templates.delete('ticket');
  const late = await refused(client.startJourney({ id: 'told', requestId: '' }));
  expect([late.code, late.message]).toEqual([
    status.FAILED_PRECONDITION,
    expect.stringContaining(`${at}: there is no template "ticket"`),
  ]);
  await createTemplate('ticket', 'webhook');
  await client.startJourney({ id: 'told', requestId: '' });
  await eventually(async () => {
    await happens('told-a', 'Enter told');
    const [send] = (await told('told-a')).flatMap((line) => (line.send?.nodeId === 'end' ? [line.send] : []));
    expect(send).toMatchObject({ channel: 'webhook', templateId: 'ticket', purpose: 'transactional', fallbacks: [] });
  });
});

test('a journey from its file to the requests in the log, with a wait that ends within a second of its moment', async () => {
  await launch(simple('live'));
  await eventually(async () => {
    await happens('live-probe', 'Enter live');
    expect(await linesOf('live-probe')).toContain('ENROLLED ');
  });
  await happens('live-a', 'Enter live');
  await happens('live-b', 'Enter live');
  await happens('live-b', 'Order Completed');
  const expected = ['ENROLLED ', 'REACHED w', 'REACHED b', 'REACHED m', 'SEND m', 'REACHED end', 'EXITED end (end)'];
  await eventually(async () => expect(await linesOf('live-a')).toEqual(expected));
  await eventually(async () => expect(await linesOf('live-b')).toContain('EXITED end (end)'));
  expect(await linesOf('live-b')).not.toContain('SEND m');
  const [enrolled, , branched] = await told('live-a');
  const waited = branched!.timeMs - enrolled!.timeMs;
  expect(waited).toBeGreaterThanOrEqual(1000);
  expect(waited).toBeLessThan(2000);
  await eventually(async () => {
    const { enrolments, past } = await client.listEnrolments({ customerId: 'live-a', journeyId: 'live' });
    expect(enrolments).toEqual([]);
    expect(past).toMatchObject([{ journeyId: 'live', version: 1, reason: 'end', heldOut: false }]);
  });
});

test('many customers, another replica in the middle: every one is asked for once', async () => {
  await launch(simple('many', 'PT2S'));
  await eventually(async () => {
    await happens('many-probe', 'Enter many');
    expect(await linesOf('many-probe')).toContain('ENROLLED ');
  });
  const ids = Array.from({ length: 40 }, (_, i) => `many-c${i}`);
  await Promise.all(ids.map((id) => happens(id, 'Enter many')));
  await eventually(async () => {
    const { enrolments } = await client.listEnrolments({ customerId: ids[39]!, journeyId: '' });
    expect(enrolments).toMatchObject([{ journeyId: 'many', nodeId: 'w', version: 1 }]);
  });
  await journeys.stop();
  journeys = await startJourneys('j2');
  const sends = async () => (await told('many-c')).flatMap(({ send }) => send?.idempotencyKey ?? []);
  await eventually(async () => expect(await sends()).toHaveLength(40));
  expect(new Set(await sends()).size).toBe(40);
});

test('pause, a merge meanwhile, resume, stop', async () => {
  await launch(simple('ways', 'PT2S'));
  await eventually(async () => {
    await happens('ways-probe', 'Enter ways');
    expect(await linesOf('ways-probe')).toContain('ENROLLED ');
  });
  await happens('ways-b', 'Enter ways');
  await client.pauseJourney({ id: 'ways', requestId: '' });
  let others = 0;
  await eventually(async () => {
    // Somebody new each time: who came before the pause took effect is in.
    await happens(`ways-other${++others}`, 'Enter ways');
    expect(await linesOf('ways-other')).toContain('REFUSED  (journey_paused)');
  });
  await write('ways-b', RecordKind.RECORD_KIND_MERGED, Merged.encode(Merged.fromPartial({ into: 'ways-a' })).finish());
  await new Promise((resolve) => setTimeout(resolve, 2500));
  for (const id of ['ways-a', 'ways-b']) expect(await linesOf(id)).not.toContain('SEND m');
  await client.resumeJourney({ id: 'ways', requestId: '' });
  await eventually(async () => expect(await linesOf('ways-a')).toContain('SEND m'));
  expect((await client.listEnrolments({ customerId: 'ways-b', journeyId: '' })).customerId).toBe('ways-a');

  await happens('ways-c', 'Enter ways');
  await eventually(async () => expect(await linesOf('ways-c')).toContain('ENROLLED '));
  await client.stopJourney({ id: 'ways', requestId: '' });
  await eventually(async () => {
    const lines = await linesOf('ways-c');
    expect(lines.some((text) => text.startsWith('EXITED'))).toBe(true);
  });
  await happens('ways-d', 'Enter ways');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await linesOf('ways-d')).toEqual([]);
});

test('definitions: versions, revisions, repeated requests, and errors that name the place', async () => {
  const library = readFileSync(join(import.meta.dirname, '../library/welcome.yaml'), 'utf8');
  const journey = await journeyOf(library);
  const created = (await client.createJourney({ journey, requestId: 'r1' })).journey!;
  expect(created).toMatchObject({ id: 'welcome', status: JourneyStatus.JOURNEY_STATUS_DRAFT, version: 1 });
  expect((await client.createJourney({ journey, requestId: 'r1' })).journey).toEqual(created);
  expect((await refused(client.createJourney({ journey, requestId: '' }))).code).toBe(status.ALREADY_EXISTS);
  const misused = await refused(client.createJourney({ journey: { ...journey, name: 'Other' }, requestId: 'r1' }));
  expect(misused.violations.map(({ field }) => field)).toEqual(['request_id']);

  const started = (await client.startJourney({ id: 'welcome', requestId: 'r2' })).journey!;
  expect(started.status).toBe(JourneyStatus.JOURNEY_STATUS_ACTIVE);
  expect((await client.startJourney({ id: 'welcome', requestId: 'r2' })).journey).toEqual(started);
  expect((await refused(client.startJourney({ id: 'welcome', requestId: '' }))).code).toBe(status.FAILED_PRECONDITION);

  const changed = { ...journey, name: 'New name', definition: { ...journey.definition!, holdOutPercent: 5 } };
  const update = (revision: number, updateMask: string[] = [], requestId = '') =>
    client.updateJourney({ journey: { ...changed, revision }, updateMask, requestId });
  expect((await refused(update(created.revision))).code).toBe(status.ABORTED);
  expect((await update(started.revision, ['name'])).journey).toMatchObject({ name: 'New name', version: 1 });
  expect((await update(0, [], 'r3')).journey).toMatchObject({ version: 2, definition: { holdOutPercent: 5 } });
  expect((await update(0, [], 'r3')).journey).toMatchObject({ version: 2 });
  expect((await refused(update(0, ['status']))).violations[0]?.field).toBe('update_mask');
  const { versions } = await client.listJourneyVersions({ id: 'welcome' });
  expect(versions.map(({ version }) => version)).toEqual([2, 1]);

  const broken = structuredClone(journey);
  broken.id = 'broken';
  broken.definition!.nodes[3]!.kind = {
    $case: 'wait',
    value: {
      duration: 'P1D',
      untilLocalTime: '',
      untilOpen: undefined,
      untilDate: undefined,
      noDate: '',
      next: 'nowhere',
    },
  };
  const invalid = await refused(client.createJourney({ journey: broken, requestId: '' }));
  expect(invalid.code).toBe(status.INVALID_ARGUMENT);
  expect(invalid.violations).toEqual([
    { field: 'journey.definition.nodes[3].wait.next', description: 'there is no node "nowhere"' },
  ]);

  expect((await refused(client.deleteJourney({ id: 'welcome', revision: 0, requestId: '' }))).code).toBe(
    status.FAILED_PRECONDITION,
  );
  await client.stopJourney({ id: 'welcome', requestId: '' });
  await client.deleteJourney({ id: 'welcome', revision: 0, requestId: 'r4' });
  await client.deleteJourney({ id: 'welcome', revision: 0, requestId: 'r4' });
  expect((await refused(client.getJourney({ id: 'welcome' }))).code).toBe(status.NOT_FOUND);
  const page = await client.listJourneys({ pageSize: 2, pageToken: '' });
  expect(page.journeys.map(({ id }) => id)).toEqual(['live', 'many']);
  const rest = await client.listJourneys({ pageSize: 2, pageToken: page.nextPageToken });
  expect([rest.journeys.map(({ id }) => id), rest.nextPageToken]).toEqual([['told', 'ways'], '']);
});

test('people are moved to a new version, a live room lets a segment in, an archived journey is put away', async () => {
  await launch(simple('moving', 'P9D'));
  await eventually(async () => {
    await happens('moving-a', 'Enter moving');
    expect(await linesOf('moving-a')).toContain('ENROLLED ');
  });
  const next = await journeyOf(
    simple('moving', 'P8D').replaceAll('id: w,', 'id: pause,').replace('start: w', 'start: pause'),
  );
  await client.updateJourney({ journey: next, updateMask: ['definition'], requestId: '' });
  const move = (nodes: Record<string, string>, fromVersions: number[] = []) =>
    client.moveEnrolments({ id: 'moving', fromVersions, nodes, revision: 0, requestId: 'mv' });
  expect((await refused(move({}, [7]))).violations.map(({ field }) => field)).toEqual([
    'from_versions[0]',
    'from_versions',
  ]);
  expect((await refused(move({}))).violations).toEqual([
    { field: 'nodes.w', description: 'somebody can wait there in version 1: name its node in the current version' },
  ]);
  await move({ w: 'pause' });
  await move({ w: 'pause' });
  await eventually(async () => expect(await linesOf('moving-a')).toContain('REACHED pause'));
  expect((await linesOf('moving-a')).filter((text) => text.startsWith('MOVED'))).toEqual(['MOVED w (version 1)']);

  await happens('room-a', 'Order Completed');
  const room = simple('room').replace(
    'event: { name: Enter room }',
    'live_room: { room_id: shoes, segment_id: buyers }',
  );
  await launch(room);
  const start = { roomId: 'shoes', properties: { host: 'Li' }, timeMs: 0 };
  expect((await refused(client.startLiveRoom({ ...start, requestId: '' }))).violations[0]?.field).toBe('request_id');
  expect((await client.startLiveRoom({ ...start, roomId: 'hats', requestId: 'l0' })).journeyIds).toEqual([]);
  for (let i = 0; i < 2; i++) {
    expect((await client.startLiveRoom({ ...start, requestId: 'l1' })).journeyIds).toEqual(['room']);
  }
  await eventually(async () => expect(await linesOf('room-a')).toContain('ENROLLED '));
  expect((await linesOf('room-a')).filter((text) => text.startsWith('ENROLLED'))).toHaveLength(1);

  const archive = () => client.archiveJourney({ id: 'room', requestId: '' });
  expect((await refused(archive())).code).toBe(status.FAILED_PRECONDITION);
  await client.stopJourney({ id: 'room', requestId: '' });
  await archive();
  const ids = async (includeArchived: boolean) =>
    (await client.listJourneys({ pageSize: 100, pageToken: '', includeArchived })).journeys.map(({ id }) => id);
  expect(await ids(false)).not.toContain('room');
  expect(await ids(true)).toContain('room');
  const change = { ...(await journeyOf(room)), name: 'x' };
  expect((await refused(client.updateJourney({ journey: change, updateMask: ['name'], requestId: '' }))).code).toBe(
    status.FAILED_PRECONDITION,
  );
  const { journey: restored } = await client.restoreJourney({ id: 'room', requestId: '' });
  expect(restored?.status).toBe(JourneyStatus.JOURNEY_STATUS_STOPPED);
});
